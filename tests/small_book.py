"""A book of two chapters, small enough to run and build in a test, with one of everything a chapter may hold."""

from pathlib import Path

BOOK = """
[book]
title = "A small book"
subtitle = "For tests"
authors = ["Ada"]
description = "Two chapters."
language = "en"
licence = "CC BY 4.0"

[launch]
repository = ""
branch = "main"

[[parts]]
title = "First part"

[[parts.chapters]]
file = "02-the-loss"
question = "What is the loss?"
minutes = 10

[[parts]]
title = "Second part"

[[parts.chapters]]
file = "07-ten-temperatures"
question = "Which temperature?"
minutes = 20

[profiles.smoke]
data = "fashion-mini"

[profiles.laptop]
data = "fashion-mini"
"""

LOSS = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# The loss

*What is the loss?*

**Time:** 10 minutes. This opening has no notes, not on $\\tau$ either.

$$
L = -\\log P
$$ (loss)

By {cite:t}`wang2021understanding`. See {numref}`fig-dot`, and {numref}`fig-second-dot` in
[the other chapter](07-ten-temperatures.ipynb). A {term}`temperature` is a number.

```{code-cell}
print("one")
print(object())
```

```{code-cell}
---
mystnb:
  figure: {caption: A dot., name: fig-dot}
  image: {alt: A black dot.}
---
import base64

from IPython.display import Image

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDw"
    "ADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Image(base64.b64decode(DOT))
```

```{code-cell}
:tags: [solution, hide-cell]
print("the answer")
```
"""

TEMPERATURES = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Ten temperatures

*Which temperature?*

After {eq}`loss` comes

$$
r = 1
$$ (penalty)

which is {eq}`penalty`.

```{code-cell}
---
mystnb:
  figure: {caption: First., name: fig-first-dot}
  image: {alt: A first dot.}
---
import base64

from IPython.display import Image

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDw"
    "ADhgGAWjR9awAAAABJRU5ErkJggg=="
)
Image(base64.b64decode(DOT))
```

```{code-cell}
---
mystnb:
  figure: {caption: Second., name: fig-second-dot}
  image: {alt: A second dot.}
---
BLUE_DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAA"
    "AADElEQVR4nGNgYPgPAAEDAQAIicLsAAAAAElFTkSuQmCC"
)
Image(base64.b64decode(BLUE_DOT))
```

```{code-cell}
import uuid


class Figure:
    def _repr_mimebundle_(self, **_):
        view = {"model_id": uuid.uuid4().hex, "version_major": 2, "version_minor": 0}
        names = 'class="contrastlab-figure" data-module="temperature.mjs"'
        twin = f'<div {names} data-model="{{}}"></div>'
        live = "application/vnd.jupyter.widget-view+json"
        return {live: view, "text/html": twin, "text/plain": "Figure()"}


Figure()
```

## What it does

**Predict first.** Does $P_{ij}$ rise with $\\tau$? What of $H$ as in $\\mathrm{P}$, $e^H$, or $x_P$?

**What would break this?** Another $\\tau$.
"""

GLOSSARY = """\
# Glossary

## Symbols

| Text | Code | Meaning |
|---|---|---|
| $\\tau$ | `tau` | The temperature. |
| $P$ | `P` | A share. |
| $H(P)$ | `H` | The entropy. |
| $t$ | `t` | A width. |
| $B$, $K$, $d$ | `(B, K)` | Sizes. |

## Terms

```{glossary}
temperature
  What similarities are divided by.
```
"""

REFERENCES = """\
@inproceedings{wang2021understanding,
  author = {Wang, Feng and Liu, Huaping},
  title = {Understanding the Behaviour of Contrastive Loss},
  booktitle = {CVPR},
  year = {2021}
}
"""


def write(root: Path) -> Path:
    """Write the book into the folder and return it."""
    chapters = root / "chapters"
    chapters.mkdir(parents=True)
    (root / "book.toml").write_text(BOOK)
    (chapters / "02-the-loss.md").write_text(LOSS)
    (chapters / "07-ten-temperatures.md").write_text(TEMPERATURES)
    (chapters / "experiments.md").write_text("# Running the experiments\n")
    (chapters / "glossary.md").write_text(GLOSSARY)
    (chapters / "references.bib").write_text(REFERENCES)
    return root
