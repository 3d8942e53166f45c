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
        stage(book, Path(notebooks), source)
        run_sphinx(source, fresh, Path(folder) / "doctrees")
        _drop_spare_scripts(fresh / "_static")
        _shrink_images(fresh / "_images")
        _replace(destination, fresh, Path(folder) / "earlier")
    return destination / "index.html"


def stage(book: Manifest, notebooks: Path, source: Path) -> None:
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
        shutil.copytree(package / "site" / "templates", source / "_templates")
        widgets = source / "_static" / "widgets"
        widgets.mkdir()
        for module in (package / "widgets").glob("*.mjs"):
            shutil.copy(module, widgets)
    (source / "_static" / "temperatures.css").write_text(temperatures(), encoding="utf-8")
    _write_figures_data(book, source)


def _write_figures_data(book: Manifest, source: Path) -> None:
    """Put beside the modules what one figure fetches, if a chapter shows that figure: it needs the recorded runs."""
    if any("ten_temperatures.mjs" in path.read_text(encoding="utf-8") for path in source.glob("*.ipynb")):
        from ..widgets import ten_temperatures_data  # takes seconds to load

        ten_temperatures_data.write_for_site(source / "_static" / "figures", book.root)


def _copy(path: Path, folder: Path, advice: str) -> None:
    if not path.is_file():
        raise SiteError(f"the site needs {path}, which does not exist. {advice}")
    shutil.copy(path, folder)


def run_sphinx(source: Path, output: Path, doctrees: Path, builder: str = "html") -> None:
    """Run in a process of its own: Sphinx and docutils keep global state between builds."""
    command = [sys.executable, "-m", "sphinx", "-b", builder, "--fail-on-warning", "--quiet", "--no-color"]
    done = subprocess.run([*command, "-d", doctrees, source, output], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SiteError(f"the site was not built:\n{(done.stderr or done.stdout).replace(f'{source}/', '').rstrip()}")


def temperatures() -> str:
    """A stylesheet with the colours of temperatures, from cold to warm."""
    from ..figures import TAU_COLOURS  # with matplotlib, whose second no other user of this package need wait

    cold, *_, warm = TAU_COLOURS
    gradient = f"linear-gradient(90deg, {', '.join(TAU_COLOURS)})"
    return f"html {{ --book-cold: {cold}; --book-warm: {warm}; --book-temperatures: {gradient}; }}\n"


def _drop_spare_scripts(static: Path) -> None:
    """Leave out what pages would load for nothing, 18 MB of it.

    Of MathJax's dozen bundles they load one; what that one loads by itself is in folders. Icons come from a font, so
    the script that would draw each again, half a megabyte compressed, is emptied: every page names it.
    """
    for bundle in (static / "mathjax").glob("*.js"):
        if bundle.name != MATHJAX:
            bundle.unlink()
    (static / "scripts" / "fontawesome.js").write_text("")


def _shrink_images(folder: Path) -> None:
    """Store each figure with the 256 colours that it uses most: no eye sees the difference, and it loads in a third."""
    from PIL import Image

    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            plain = image.convert("RGB")
        plain.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _replace(destination: Path, fresh: Path, earlier: Path) -> None:
    if destination.exists():
        destination.rename(earlier)
    fresh.rename(destination)
