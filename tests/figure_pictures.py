"""Stored pictures of the interactive figures, what differs from them, and how to renew them.

Compared are the drawings alone, every svg and canvas of a figure, without the letters in an svg: another machine has
other fonts, and what the texts say is compared as text.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).with_name("pictures")
RENEW = "CONTRASTLAB_RENEW_PICTURES"
COMMAND = f"{RENEW}=1 .venv/bin/python -m pytest -rs tests/test_figures_all.py -k like_the_stored"
CLEARLY = 48  # of 255, in a channel: more than another way of smoothing an edge makes of it
MOST_CLEARLY = 0.001  # the share of pixels that may differ clearly
MOST_MEAN = 0.25  # of 255, the mean absolute difference over pixels and channels
HIDE_LETTERS = "svg text { visibility: hidden !important }"


def drawing_of(root) -> Image.Image:
    """All drawings of a figure in the browser, one below the other."""
    root.page.add_style_tag(content=HIDE_LETTERS)
    shots = [part.screenshot(animations="disabled") for part in root.locator("svg, canvas").all() if part.is_visible()]
    pictures = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    whole = Image.new("RGB", (max(p.width for p in pictures), sum(p.height for p in pictures)), "white")
    top = 0
    for picture in pictures:
        whole.paste(picture, (0, top))
        top += picture.height
    return whole


def difference(found: Image.Image, stored: Image.Image) -> str:
    """In words what is over the tolerance, or nothing."""
    if found.size != stored.size:
        return f"it is {found.size} pixels large, stored are {stored.size}"
    apart = np.abs(np.asarray(found, dtype=int) - np.asarray(stored, dtype=int))  # (height, width, 3)
    mean, clearly = apart.mean(), (apart.max(axis=2) > CLEARLY).mean()
    if mean <= MOST_MEAN and clearly <= MOST_CLEARLY:
        return ""
    return (
        f"mean difference {mean:.2f} of 255, at most {MOST_MEAN}; {100 * clearly:.2f} % of the pixels differ clearly, "
        f"at most {100 * MOST_CLEARLY:.2f} %"
    )


def assert_like_stored(found: Image.Image, name: str, kept: Path) -> None:
    """Compare with the stored picture, or store this one where RENEW is set, and say so.

    kept: a folder for the picture that differs, so that it can be looked at.
    """
    path = FOLDER / f"{name}.png"
    if os.environ.get(RENEW) == "1":
        before = difference(found, Image.open(path).convert("RGB")) if path.exists() else "it is new"
        FOLDER.mkdir(exist_ok=True)
        if before:
            found.quantize(256).save(path, optimize=True)
        pytest.skip(f"wrote {path.name}: {before}" if before else f"left {path.name} as it is: nothing differs")
    assert path.exists(), f"no stored picture {path.name}. Look at the figure, then store it: {COMMAND}"
    if wrong := difference(found, Image.open(path).convert("RGB")):
        found.save(kept / path.name)
        pytest.fail(f"{name} does not look as stored: {wrong}. See {kept / path.name}. If it is right: {COMMAND}")
