"""A cell's id is a digest of what it holds, so that a notebook tells which of its cells a reader has written since."""

import hashlib
import json
from collections import Counter
from pathlib import Path

from nbformat import NotebookNode

from .files import write_atomically


def assign(notebook: NotebookNode) -> None:
    """Give each cell an id that depends on its kind and source alone; equal cells are counted: ID, ID-2, ..."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = _digest(cell.cell_type, cell.source)
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def keep_readers_cells(pair: Path, fresh: NotebookNode) -> Path | None:
    """Copy the .ipynb to NAME.mine.ipynb (then .mine-2, ...) if a reader wrote in it what `fresh` lacks; return where.

    A cell is a reader's if its id does not follow from its source: an edit leaves the id, a new cell brings another. So
    an author who edits the .md leaves no copies, as the notebook's cells are still those that were made. A file that is
    no notebook is kept too. Not known, and so not kept: outputs, tags and the order of cells, and cells taken away.
    """
    if not pair.is_file() or not _holds_more(pair.read_bytes(), fresh):
        return None
    aside, count = pair.with_suffix(f".mine{pair.suffix}"), 2
    while aside.exists():
        aside = pair.with_suffix(f".mine-{count}{pair.suffix}")
        count += 1
    write_atomically(aside, pair.read_bytes())  # a copy, so that a full disk leaves the notebook where it is
    return aside


def _holds_more(content: bytes, fresh: NotebookNode) -> bool:
    made = {(cell.cell_type, cell.source) for cell in fresh.cells}
    try:
        cells = json.loads(content)["cells"]
        found = [(cell["cell_type"], "".join(cell["source"]), cell.get("id", "")) for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError):
        return bool(content.strip())
    # JupyterLab adds an empty cell when the last one is run; it is nobody's work.
    return any(
        source.strip() and not given.startswith(_digest(kind, source)) and (kind, source) not in made
        for kind, source, given in found
    )


def _digest(kind: str, source: str) -> str:
    return hashlib.sha256(f"{kind}\n{source}".encode()).hexdigest()[:12]
