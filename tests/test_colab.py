"""The cell for Colab: absent without a public address; with one, it fetches the book and makes it importable."""

import os
import subprocess
import sys

import nbformat

import small_book
from contrastlab import colab, notebooks
from contrastlab.manifest import Launch


def test_there_is_no_such_cell_while_the_book_has_no_address(tmp_path):
    root = small_book.write(tmp_path)
    cells = notebooks.source_to_notebook(root / "chapters" / f"{small_book_chapter(root)}.md").cells
    assert not any("git" in cell.source for cell in cells)


def test_the_cell_follows_the_title_and_stays_off_the_website(tmp_path):
    root = small_book.write(tmp_path)
    path = root / "book.toml"
    path.write_text(path.read_text().replace('repository = ""', 'repository = "https://example.org/a/book"'))
    notebook = notebooks.source_to_notebook(root / "chapters" / f"{small_book_chapter(root)}.md")
    nbformat.validate(notebook)
    cell = notebook.cells[1]
    assert '"--branch=main", "https://example.org/a/book", "book"' in cell.source
    assert cell.metadata.tags == ["remove-cell"]


def test_the_cell_fetches_the_book_and_makes_it_importable(tmp_path):
    """Against a repository on this disk, with a stand-in for pip, in a Python that has no contrastlab."""
    origin, work = tmp_path / "origin", tmp_path / "work"
    (origin / "lib" / "contrastlab").mkdir(parents=True)
    (origin / "lib" / "contrastlab" / "__init__.py").write_text("fetched = True\n")
    (origin / "chapters").mkdir()
    (origin / "chapters" / "one.md").write_text("# One\n")
    work.mkdir()
    (work / "pip.py").write_text("import sys\nopen('pip.log', 'w').write(' '.join(sys.argv[1:]))\n")
    git = ["git", "-C", str(origin), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "--quiet", "--initial-branch=main"], ["add", "."], ["commit", "--quiet", "-m", "One"]):
        subprocess.run([*git, *command], check=True)
    code = colab.fetch(Launch(repository=origin.as_uri(), branch="main"))
    check = "import contrastlab\nassert contrastlab.fetched and os.path.exists('one.md')\n"
    # -S leaves site-packages out, so that contrastlab is not installed; pip is the stand-in beside the working folder.
    command = [sys.executable, "-S", "-c", f"{code}\n{check}"]
    subprocess.run(command, cwd=work, check=True, env=os.environ | {"PYTHONPATH": str(work)})
    assert (work / "pip.log").read_text() == "install --quiet --editable book anywidget"


def small_book_chapter(root):
    return sorted(path.stem for path in (root / "chapters").glob("*.md") if path.stem[:2].isdigit())[0]
