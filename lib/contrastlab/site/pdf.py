"""The whole book as one PDF: every page of the site in one, printed by a browser, solutions at the back."""

import re
import tempfile
from importlib.resources import files
from pathlib import Path

from ..files import write_atomically
from ..manifest import Manifest
from . import run_sphinx, stage
from .browser import chromium, served
from .pages import ROMAN

FOOTER = (
    '<div style="width:100%;font:9px sans-serif;color:#555;text-align:center">'
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)
MOUNTER = re.compile(r"/mount\.js(\?|$)")  # a page names it with a sum of its content, as in mount.js?v=1a2b3c4d
PATIENCE = 300_000  # ms: a page of 200 sheets with all its formulas takes a slow machine minutes
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}


def write(book: Manifest, notebooks: Path, target: Path) -> Path:
    """Print the executed NN-name.ipynb in `notebooks`, and the back matter, to the PDF `target`, and return its path.

    Interactive figures are their still pictures. Raises SiteError where the pages cannot be built, and BrowserMissing
    without Playwright or a Chromium to print with.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, pages = Path(folder) / "source", Path(folder) / "pages"
        stage(book, Path(notebooks), source)
        run_sphinx(source, pages, Path(folder) / "doctrees", "singlehtml")
        with served(pages) as address:
            write_atomically(Path(target), _printed(f"{address}/index.html", part_titles(book)))
    return Path(target)


def part_titles(book: Manifest) -> dict[str, str]:
    """What stands above the first chapter of each part, by that chapter's file."""
    return {
        part.chapters[0].file: f"Part {numeral}. {part.title}" for numeral, part in zip(ROMAN, book.parts, strict=False)
    }


def _printed(address: str, parts: dict[str, str]) -> bytes:
    site = files("contrastlab.site")
    with chromium() as browser:
        page = browser.new_page(color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.route(MOUNTER, lambda route: route.abort())  # figures stay still
        page.goto(address)
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => {})")
        page.add_style_tag(content=site.joinpath("print.css").read_text("utf-8"))
        page.evaluate(site.joinpath("print.js").read_text("utf-8"), parts)
        return page.pdf(
            format="A4",
            margin=MARGIN,
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
