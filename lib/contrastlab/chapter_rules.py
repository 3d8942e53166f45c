"""What makes a chapter read and test well everywhere: agreement of source and notebook, and rules for its cells."""

import ast
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from .notebooks import source_to_notebook

VISIBLE_LINES = 20
CODE_WIDTH = 88  # characters a cell on the website shows before it scrolls sideways
FOLDED_TAGS = {"hide-cell", "hide-input"}
DIRECTIVE = re.compile(r"^[ \t]*(?:`{3,}|~{3,}|:{3,})[ \t]*\{([\w:-]+)\}", re.MULTILINE)


def disagreements(source: Path, pair: Path) -> list[str]:
    """What differs between a chapter's source and its .ipynb, outputs aside; empty if they agree."""
    if not pair.is_file():
        return [f"{pair.name} does not exist"]
    expected, found = source_to_notebook(source), nbformat.read(pair, as_version=4)
    if len(expected.cells) != len(found.cells):
        return [f"{source.name} has {len(expected.cells)} cells, {pair.name} {len(found.cells)}"]
    return [
        f"cell {number} of {pair.name} differs in {key!r}"
        for number, (ours, theirs) in enumerate(zip(expected.cells, found.cells, strict=True), start=1)
        for key in ("cell_type", "id", "source", "metadata")
        if ours[key] != theirs[key]
    ]


def faults(notebook: NotebookNode) -> list[str]:
    """What would not read or test well in stock Jupyter, Colab, nbval or print; one sentence a fault, with its cell."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        check = _code_faults if cell.cell_type == "code" else _prose_faults
        found += [f"cell {number} ({_first_line(cell)!r}): {fault}" for fault in check(cell)]
    return found


def _code_faults(cell: NotebookNode) -> list[str]:
    lines = [line for line in cell.source.splitlines() if line.strip()]
    found = []
    try:
        ast.parse(cell.source)
    except SyntaxError:
        found.append("is not plain Python; a magic that IPython does not know ends a cell as if it had passed")
    if lines and lines[-1].rstrip().endswith(";"):
        found.append("ends in ';', which nbval ignores; write `_ = ...` to hide a value")
    if re.search(r"\btqdm\.(auto|notebook)\b", cell.source):
        found.append("imports a tqdm that draws a widget, blank on the website; use tqdm.std")
    if len(lines) > VISIBLE_LINES and not FOLDED_TAGS & set(cell.metadata.get("tags", [])):
        found.append(f"shows {len(lines)} lines of code; at most {VISIBLE_LINES}")
    found += [
        f"has a line of {len(line)} characters ({line.strip()[:30]!r}); at most {CODE_WIDTH} show without scrolling"
        for line in lines
        if len(line) > CODE_WIDTH
    ]
    if "image" in _output_kinds(cell) and not _option(cell, "image", "alt"):
        found.append("draws an image without alt text; give it under mystnb: image: alt")
    return found


def _prose_faults(cell: NotebookNode) -> list[str]:
    names = [name for name in DIRECTIVE.findall(cell.source) if name != "code-cell"]
    return [f"uses the directive {{{name}}}, raw text in stock Jupyter and in Colab" for name in names]


def _output_kinds(cell: NotebookNode) -> set[str]:
    return {mime.split("/")[0] for output in cell.outputs for mime in output.get("data", {})}


def _option(cell: NotebookNode, group: str, name: str) -> str:
    return str(cell.metadata.get("mystnb", {}).get(group, {}).get(name, "")).strip()


def _first_line(cell: NotebookNode) -> str:
    return cell.source.strip().partition("\n")[0][:40]
