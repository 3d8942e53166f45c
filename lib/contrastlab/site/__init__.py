"""The website: Sphinx over executed notebooks, everything it needs taken from book.toml."""

import shutil
import subprocess
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path

from ..files import ensure_writable
from ..manifest import Manifest
from .pages import bibliography_page, title_page

BACK_MATTER = ("experiments.md", "glossary.md", "references.bib")
MATHJAX = "tex-chtml.js"


class SiteError(RuntimeError):
    """The website could not be built; the message says why."""


def build(book: Manifest, notebooks: Path, destination: Path) -> Path:
    """Build the site from the executed NN-name.ipynb in `notebooks` and return the path of its first page.

    Every warning is an error. A build that fails leaves an earlier site in `destination` as it was.
    Raises SiteError if a notebook is missing or Sphinx complains.
    """
    destination = Path(destination).resolve()
    ensure_writable(destination.parent)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=destination.parent) as folder:
        source, fresh = Path(folder) / "source", Path(folder) / "html"
        _stage(book, Path(notebooks), source)
        _sphinx(source, fresh, Path(folder) / "doctrees")
        _drop_spare_mathjax(fresh / "_static" / "mathjax")
        _replace(destination, fresh, Path(folder) / "earlier")
    return destination / "index.html"


def _stage(book: Manifest, notebooks: Path, source: Path) -> None:
    """Lay out one flat Sphinx project, so that links between files of chapters/ hold on the site too."""
    source.mkdir()
    for chapter in book.chapters:
        _copy(notebooks / f"{chapter.file}.ipynb", source, "Run `python -m contrastlab notebooks` to make it.")
    for name in BACK_MATTER:
        _copy(book.folder / name, source, "It belongs beside the chapters.")
    _copy(book.root / "book.toml", source, "Every setting of the site comes from it.")
    (source / "index.md").write_text(title_page(book), encoding="utf-8")
    (source / "bibliography.md").write_text(bibliography_page(), encoding="utf-8")
    with as_file(files("contrastlab")) as package:
        shutil.copy(package / "site" / "conf.py", source)
        shutil.copytree(package / "site" / "static", source / "_static")
        widgets = source / "_static" / "widgets"
        widgets.mkdir()
        for module in (package / "widgets").glob("*.mjs"):
            shutil.copy(module, widgets)


def _copy(path: Path, folder: Path, advice: str) -> None:
    if not path.is_file():
        raise SiteError(f"the site needs {path}, which does not exist. {advice}")
    shutil.copy(path, folder)


def _sphinx(source: Path, output: Path, doctrees: Path) -> None:
    """Run in a process of its own: Sphinx and docutils keep global state between builds."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "--fail-on-warning", "--quiet", "--no-color"]
    done = subprocess.run([*command, "-d", doctrees, source, output], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(f"the site was not built:\n{(done.stderr or done.stdout).replace(f'{source}/', '').rstrip()}")


def _drop_spare_mathjax(folder: Path) -> None:
    """Of MathJax's dozen bundles, 16 MB, pages load one; what that one loads by itself is in folders."""
    for bundle in folder.glob("*.js"):
        if bundle.name != MATHJAX:
            bundle.unlink()


def _replace(destination: Path, fresh: Path, earlier: Path) -> None:
    if destination.exists():
        destination.rename(earlier)
    fresh.rename(destination)
