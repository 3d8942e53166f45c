"""The book on paper: every chapter, numbered pages, still figures, solutions at the back."""

import json
import re
import sys
from functools import cache
from pathlib import Path

import pypdf
import pytest

import small_book
from conftest import without_browser
from contrastlab import cli, manifest, notebooks
from contrastlab.site import pdf
from contrastlab.site.browser import BrowserMissing


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """The small book with its notebooks beside their sources."""
    root = small_book.write(tmp_path_factory.mktemp("book"))
    book = manifest.load(root)
    notebooks.execute(book.sources(book.chapters), book.folder, lambda _: None)
    return root


@pytest.fixture(scope="module")
def printed(root) -> pypdf.PdfReader:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        try:
            assert cli.main(["--debug", "pdf"]) == 0
        except BrowserMissing as error:
            without_browser(str(error))
    return pypdf.PdfReader(root / "_build" / "book.pdf")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> pypdf.PdfReader:
    """The book itself, from the committed notebooks."""
    book = manifest.load()
    try:
        return pypdf.PdfReader(pdf.write(book, book.folder, tmp_path_factory.mktemp("whole") / "book.pdf"))
    except BrowserMissing as error:
        without_browser(str(error))


def notebook_cells() -> list[dict]:
    """All cells of the committed notebooks."""
    book = manifest.load()
    paths = [book.folder / f"{chapter.file}.ipynb" for chapter in book.chapters]
    return [cell for path in paths for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]


def top_titles(pages: pypdf.PdfReader) -> list[str]:
    return [title for depth, title in outline(pages.outline) if depth == 0]


STILL = "A still picture: in Jupyter, and on the website with JavaScript,"


def outline(entries: list, depth: int = 0) -> list[tuple[int, str]]:
    """(depth, title) of each bookmark."""
    found = []
    for entry in entries:
        found += outline(entry, depth + 1) if isinstance(entry, list) else [(depth, entry.title)]
    return found


@cache
def texts(printed: pypdf.PdfReader) -> list[str]:
    """The words of each page."""
    return [" ".join(page.extract_text().split()) for page in printed.pages]


@pytest.mark.browser
def test_bookmarks_are_the_chapters_in_order_then_the_back_matter_and_solutions(printed):
    back = ["Running the experiments", "Glossary", "Bibliography", "Solutions"]
    assert top_titles(printed)[1:] == ["2. The loss", "7. Ten temperatures", *back]


@pytest.mark.browser
@pytest.mark.parametrize(("name", "at_least"), [("printed", 6), ("whole", 60)])
def test_every_page_carries_its_number_and_is_not_empty(request, name, at_least):
    pages = texts(request.getfixturevalue(name))
    assert len(pages) >= at_least
    for number, text in enumerate(pages, 1):
        assert text.endswith(f"{number} / {len(pages)}")
        assert len(text) > 20, f"page {number} is empty"


@pytest.mark.browser
def test_a_figure_is_printed_still(printed):
    title_page, *_ = texts(printed)
    assert "step 300" in title_page and STILL in title_page  # the last of its three moments
    assert not re.search(r"\b(Pause|Play|start again)\b", " ".join(texts(printed)))


@pytest.mark.browser
def test_solution_is_at_the_back_and_a_note_in_its_place(printed):
    *pages, back = texts(printed)
    assert "the answer" not in " ".join(pages)
    assert "Solution 1 is at the back of the book." in " ".join(pages)
    assert "the answer" in back


@pytest.mark.browser
def test_parts_captions_and_images_are_printed(printed):
    text = " ".join(texts(printed)).casefold()
    for expected in ("part i. first part", "part ii. second part", "figure 2.1", "a dot.", "which is (7.1)"):
        assert expected in text
    assert sum(len(page.images) for page in printed.pages) == 3  # each dot, of which no page has two alike


@pytest.mark.browser
def test_the_book_has_every_chapter_and_solution_and_all_its_figures_are_still(whole):
    book, cells = manifest.load(), notebook_cells()
    numbered = [title for title in top_titles(whole) if re.match(r"\d+\. ", title)]
    assert [int(title.partition(".")[0]) for title in numbered] == [chapter.number for chapter in book.chapters]
    text = " ".join(texts(whole))
    figures = sum("contrastlab-figure" in json.dumps(cell.get("outputs", [])) for cell in cells)
    assert text.count(STILL) == figures + 1 >= 6  # and the title page's
    solutions = sum("solution" in cell["metadata"].get("tags", []) for cell in cells)
    assert len(re.findall(r"Solution \d+ is at the back of the book\.", text)) == solutions >= 20
    back = text.rpartition(" Solutions ")[2]
    assert [int(number) for number in re.findall(r"\bSolution (\d+)\b", back)] == list(range(1, solutions + 1))


@pytest.mark.browser
def test_what_is_folded_on_the_site_is_unfolded_on_paper(whole):
    text = "".join("".join(texts(whole)).split())
    folded = [cell for cell in notebook_cells() if "hide-input" in cell["metadata"].get("tags", [])]
    assert folded and all("".join("".join(cell["source"]).split())[:60] in text for cell in folded)
    assert "codecellsource" not in text  # what is clicked to fold it


def test_without_playwright_the_message_says_what_to_install(root, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "playwright.sync_api", None)
    monkeypatch.chdir(root)
    before = sorted(root.rglob("*.pdf"))
    assert cli.main(["pdf"]) == 1
    assert "python -m pip install playwright" in capsys.readouterr().err
    assert sorted(root.rglob("*.pdf")) == before


def test_parts_are_named_above_their_first_chapter(root):
    titles = {"02-the-loss": "Part I. First part", "07-ten-temperatures": "Part II. Second part"}
    assert pdf.part_titles(manifest.load(root)) == titles
