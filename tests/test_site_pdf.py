"""The book on paper: every chapter, numbered pages, still figures, solutions at the back."""

import sys
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


def outline(entries: list, depth: int = 0) -> list[tuple[int, str]]:
    """(depth, title) of each bookmark."""
    found = []
    for entry in entries:
        found += outline(entry, depth + 1) if isinstance(entry, list) else [(depth, entry.title)]
    return found


def text_of(pages: list) -> str:
    return " ".join(" ".join(page.extract_text() for page in pages).split())


@pytest.mark.browser
def test_bookmarks_are_the_chapters_in_order_then_the_back_matter_and_solutions(printed):
    top = [title for depth, title in outline(printed.outline) if depth == 0]
    back = ["Running the experiments", "Glossary", "Bibliography", "Solutions"]
    assert top[1:] == ["2. The loss", "7. Ten temperatures", *back]


@pytest.mark.browser
def test_every_page_carries_its_number(printed):
    total = len(printed.pages)
    assert total >= 6
    for number, page in enumerate(printed.pages, 1):
        assert text_of([page]).endswith(f"{number} / {total}")


@pytest.mark.browser
def test_solution_is_at_the_back_and_a_note_in_its_place(printed):
    *pages, back = printed.pages
    assert "the answer" not in text_of(pages)
    assert "Solution 1 is at the back of the book." in text_of(pages)
    assert "the answer" in text_of([back])


@pytest.mark.browser
def test_parts_and_captions_are_printed_and_no_page_is_empty(printed):
    text = text_of(printed.pages).casefold()
    for expected in ("part i. first part", "part ii. second part", "figure 2.1", "a dot.", "which is (7.1)"):
        assert expected in text
    assert all(len(text_of([page])) > 20 for page in printed.pages)
    assert sum(len(page.images) for page in printed.pages) == 3  # each dot, of which no page has two alike


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
