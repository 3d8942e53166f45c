"""What a reader wrote in a chapter's notebook outlives `make notebooks`; an author's edits leave no copies behind."""

import shutil
from fnmatch import fnmatch
from pathlib import Path

import nbformat
import pytest

import small_book
from contrastlab import cell_ids, cli, manifest, notebooks

LOSS = "02-the-loss"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The small book with the notebooks of its sources, not executed: ids and sources are those of a run."""
    root = small_book.write(tmp_path / "book")
    book = manifest.load(root)
    for source in book.sources(book.chapters):
        made = notebooks.source_to_notebook(source)
        source.with_suffix(".ipynb").write_bytes(notebooks.to_bytes(made))
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def without_kernels(monkeypatch):
    """`execute` as it is, but for the run itself."""
    monkeypatch.setattr(notebooks, "_run", lambda name, client, report: client.nb)


@pytest.fixture
def edit(root):
    """edit(change): a reader opens the notebook of the first chapter, changes its cells and saves."""
    pair = root / "chapters" / f"{LOSS}.ipynb"

    def save(change):
        notebook = nbformat.read(pair, as_version=4)
        change(notebook.cells)
        nbformat.write(notebook, pair)
        return pair.read_bytes()

    return save


def kept(root) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "chapters").glob("*.mine*"))}


def answer(cells):
    cells[1].source = 'print("my answer")'


def add(text):
    return lambda cells: cells.append(nbformat.v4.new_code_cell(text))


@pytest.mark.parametrize("change", [answer, add("my_own = 1")], ids=["an edited cell", "a new cell"])
def test_a_readers_work_is_kept_aside_and_told_in_one_line(root, without_kernels, edit, change, capsys):
    written = edit(change)
    assert cli.main(["notebooks"]) == 0
    assert kept(root) == {f"{LOSS}.mine.ipynb": written}
    told = [line for line in capsys.readouterr().out.splitlines() if "mine" in line]
    assert told == [f"{LOSS}: what you wrote in {LOSS}.ipynb is kept beside it, in {LOSS}.mine.ipynb"]
    made = nbformat.read(root / "chapters" / f"{LOSS}.ipynb", as_version=4)
    assert not any("my" in cell.source for cell in made.cells)


def test_an_earlier_copy_is_never_overwritten(root, without_kernels, edit):
    copies = []
    for text in ("first = 1", "second = 2", "third = 3"):
        copies.append(edit(add(text)))
        assert cli.main(["notebooks", "2"]) == 0
    names = [f"{LOSS}.mine.ipynb", f"{LOSS}.mine-2.ipynb", f"{LOSS}.mine-3.ipynb"]
    assert kept(root) == dict(zip(names, copies, strict=True))


def test_an_author_who_edits_the_source_leaves_no_copies(root, without_kernels):
    source = root / "chapters" / f"{LOSS}.md"
    for old, new in (('"one"', '"two"'), ("A black dot.", "A dot."), ('print("the answer")\n', ""), ("# The", "# A")):
        source.write_text(source.read_text().replace(old, new))
        assert cli.main(["notebooks"]) == 0
    assert kept(root) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda cells: None,
        add("\n"),  # as JupyterLab leaves it after the last cell
        lambda cells: cells[1].outputs.append(nbformat.v4.new_output("stream", text="mine")),
        lambda cells: cells[1].metadata.update(collapsed=True),
        lambda cells: cells.append(cells.pop(0)),
        lambda cells: cells.append(nbformat.v4.new_code_cell(cells[1].source)),
    ],
    ids=["saved", "an empty cell", "outputs", "folded", "moved", "copied"],
)
def test_a_notebook_that_was_only_run_leaves_no_copy(root, without_kernels, edit, change):
    edit(change)
    assert cli.main(["notebooks"]) == 0
    assert kept(root) == {}


def test_an_edit_that_the_source_took_over_leaves_no_copy(root, without_kernels, edit):
    edit(answer)
    source = root / "chapters" / f"{LOSS}.md"
    text = source.read_text()
    source.write_text(text.replace('print("one")\nprint(object())', 'print("my answer")'))
    assert cli.main(["notebooks"]) == 0
    assert kept(root) == {}


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\n{", "[]", '{"cells": [1]}', '{"nbformat": 3, "worksheets": []}'])
def test_what_cannot_be_read_is_kept_too(root, without_kernels, content):
    (root / "chapters" / f"{LOSS}.ipynb").write_text(content)
    assert cli.main(["notebooks"]) == 0
    assert kept(root) == {f"{LOSS}.mine.ipynb": content.encode()}


def test_where_the_copy_cannot_be_written_the_notebook_stays(root, without_kernels, edit, monkeypatch):
    written = edit(answer)

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cell_ids, "write_atomically", full)
    assert cli.main(["notebooks"]) == 1
    assert (root / "chapters" / f"{LOSS}.ipynb").read_bytes() == written


def test_a_chapter_that_fails_leaves_the_readers_notebook_where_it_is(root, edit):
    source = root / "chapters" / f"{LOSS}.md"
    source.write_text(source.read_text().replace('print("one")', "one_that_is_not"))
    written = edit(answer)
    assert cli.main(["notebooks", "2"]) == 1
    assert (root / "chapters" / f"{LOSS}.ipynb").read_bytes() == written and kept(root) == {}


def test_git_ignores_the_copies():
    patterns = (manifest.load().root / ".gitignore").read_text().split()
    for name in (f"{LOSS}.mine.ipynb", f"{LOSS}.mine-2.ipynb"):
        assert any(fnmatch(name, pattern) for pattern in patterns), name
    assert not any(fnmatch(f"{LOSS}.ipynb", pattern) for pattern in patterns)


def test_the_cells_of_every_committed_notebook_are_as_they_were_made(tmp_path):
    """Else the first `make notebooks` after a clone would keep a copy that nobody wrote."""
    book = manifest.load()
    for source in book.sources(book.chapters):
        pair = Path(shutil.copy(source.with_suffix(".ipynb"), tmp_path))
        assert cell_ids.keep_readers_cells(pair, nbformat.v4.new_notebook()) is None, pair.name
