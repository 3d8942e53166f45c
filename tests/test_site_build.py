"""The website: built from notebooks and book.toml alone, complete, numbered as the files, with nothing from outside."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import urlparse

import pytest
from bs4 import BeautifulSoup

import small_book
from contrastlab import cli, manifest, site
from contrastlab.site import SiteError

REPOSITORY = Path(__file__).resolve().parents[1]
LOSS, TEMPERATURES = "02-the-loss", "07-ten-temperatures"
CHAPTER_PAGES = (LOSS, TEMPERATURES)


def sources(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def book_root(tmp_path_factory):
    """The small book after `contrastlab book`, which ran its chapters and built its site in _build."""
    root = small_book.write(tmp_path_factory.mktemp("book"))
    before = sources(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert cli.main(["book"]) == 0
    built = root / "_build"
    assert {path: text for path, text in sources(root).items() if "_build" not in path.parts} == before
    assert sorted(path.name for path in built.iterdir()) == ["chapters", "site"]
    return root


@pytest.fixture(scope="module")
def small_site(book_root):
    return book_root / "_build" / "site"


@pytest.fixture(scope="module")
def launch_site(book_root, tmp_path_factory):
    """The same book, once book.toml names a repository."""
    path = book_root / "book.toml"
    before = path.read_text()
    path.write_text(before.replace('repository = ""', 'repository = "https://github.com/ada/small-book"'))
    book = manifest.load(book_root)
    built = site.build(book, book_root / "_build" / "chapters", tmp_path_factory.mktemp("launch") / "site").parent
    path.write_text(before)
    return built


@cache
def page(folder, name):
    return BeautifulSoup((folder / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def pages(folder):
    return {path.stem: page(folder, path.stem) for path in folder.glob("*.html")}


def text(element):
    return " ".join(element.get_text(" ").split())


def loaded_addresses(soup):
    """What a browser fetches by itself: scripts, styles, images, frames; not the links that a reader may follow."""
    for element in soup.find_all(["script", "img", "iframe", "source", "link"]):
        if element.name != "link" or {"stylesheet", "preload", "icon", "modulepreload"} & set(element.get("rel", [])):
            yield from filter(None, [element.get("src"), element.get("href")])


class TestCommands:
    def test_book_builds_the_site_and_leaves_everything_else_as_it_was(self, book_root):
        assert (book_root / "_build" / "site" / "index.html").is_file()

    def test_site_does_not_run_chapters_and_asks_for_the_committed_notebooks(self, book_root, monkeypatch, capsys):
        monkeypatch.chdir(book_root)
        assert cli.main(["site"]) == 1
        assert "chapters/02-the-loss.ipynb, which does not exist" in capsys.readouterr().err


class TestNumbers:
    def test_the_sidebar_numbers_chapters_as_their_files_across_parts(self, small_site):
        sidebar = page(small_site, "index").select_one("nav.bd-links")
        assert [text(item) for item in sidebar.select("a")][:2] == ["2. The loss", "7. Ten temperatures"]
        captions = [text(caption) for caption in sidebar.select(".caption")]
        assert captions == ["Part I. First part", "Part II. Second part", "Back matter"]

    @pytest.mark.parametrize(("name", "heading"), [(LOSS, "2. The loss"), (TEMPERATURES, "7. Ten temperatures")])
    def test_headings(self, small_site, name, heading):
        assert text(page(small_site, name).article.h1).startswith(heading)

    def test_equations_count_within_their_chapter_and_are_referred_to_by_number(self, small_site):
        soup = page(small_site, TEMPERATURES)
        assert [text(number) for number in soup.select("span.eqno")] == ["(7.1) #"]
        references = {
            a["href"]: text(a) for a in soup.select("article a.reference.internal") if "equation" in a["href"]
        }
        assert references == {f"{LOSS}.html#equation-loss": "(2.1)", "#equation-penalty": "(7.1)"}

    def test_figures_count_within_their_chapter_and_are_referred_to_by_number(self, small_site):
        captions = [text(caption) for caption in page(small_site, TEMPERATURES).select("figcaption .caption-number")]
        assert captions == ["Figure 7.1", "Figure 7.2"]
        references = {a["href"]: text(a) for a in page(small_site, LOSS).select("article a.reference.internal")}
        assert references["#fig-dot"] == "Figure 2.1"
        assert references[f"{TEMPERATURES}.html#fig-second-dot"] == "Figure 7.2"


class TestPages:
    def test_the_title_page_maps_every_chapter_with_its_question_and_minutes(self, small_site):
        soup = page(small_site, "index")
        entries = [text(entry) for entry in soup.select("article dl dt, article dl dd")]
        assert entries[:2] == ["2 The loss", "What is the loss? 10 minutes."]
        assert text(soup.select_one("p.subtitle")) == "For tests"
        assert "about 30 minutes" in text(soup.article)

    def test_links_between_chapters_glossary_and_bibliography_hold(self, small_site):
        for name, soup in pages(small_site).items():
            for link in soup.select("article a[href]"):
                address = urlparse(link["href"])
                if not address.scheme and address.path:
                    assert (small_site / address.path).is_file(), f"{name}: {link['href']}"

    def test_citations_and_terms_are_links(self, small_site):
        links = {text(a): a["href"] for a in page(small_site, LOSS).select("article a.reference.internal")}
        assert links["2021"].startswith("bibliography.html#")
        assert links["temperature"] == "glossary.html#term-temperature"
        assert "Feng Wang and Huaping Liu" in text(page(small_site, "bibliography").article)

    def test_a_solution_is_folded(self, small_site):
        (folded,) = page(small_site, LOSS).select("details.hide")
        assert not folded.has_attr("open")
        assert text(folded.summary).startswith("Show the solution")
        assert "the answer" in text(folded)

    def test_the_live_widget_gives_way_to_its_twin(self, small_site):
        soup = page(small_site, TEMPERATURES)
        (figure,) = soup.select("div.contrastlab-figure")
        assert (figure["data-module"], figure["data-model"]) == ("temperature.mjs", "{}")
        assert not soup.select('script[type*="widget"]')

    def test_the_mounter_and_every_widget_module_are_there(self, small_site):
        (script,) = page(small_site, TEMPERATURES).select('script[src*="mount.js"]')
        assert script["type"] == "module"
        modules = {path.name for path in (REPOSITORY / "lib" / "contrastlab" / "widgets").glob("*.mjs")}
        assert {path.name for path in (small_site / "_static" / "widgets").iterdir()} == modules
        assert "temperature.mjs" in modules

    def test_a_page_downloads_as_the_notebook_it_was_made_from(self, small_site, book_root):
        (link,) = page(small_site, LOSS).select('a[href$=".ipynb"]')
        assert (small_site / link["href"]).read_bytes() == (
            book_root / "_build" / "chapters" / f"{LOSS}.ipynb"
        ).read_bytes()

    def test_search_knows_the_words_of_chapters(self, small_site):
        index = (small_site / "searchindex.js").read_text(encoding="utf-8")
        assert '"Ten temperatures"' in index
        assert page(small_site, "search").select("#search-results")

    def test_every_image_has_alt_text(self, small_site):
        alts = [image.get("alt") for soup in pages(small_site).values() for image in soup.select("img")]
        assert sorted(alts) == ["A black dot.", "A first dot.", "A second dot."]

    def test_nothing_is_loaded_from_another_host(self, small_site):
        for name, soup in pages(small_site).items():
            outside = [address for address in loaded_addresses(soup) if urlparse(address).netloc]
            assert outside == [], name

    def test_everything_that_is_loaded_is_there(self, small_site):
        addresses = {address for soup in pages(small_site).values() for address in loaded_addresses(soup)}
        missing = [a for a in addresses if not a.startswith("data:") and not (small_site / urlparse(a).path).is_file()]
        assert missing == []
        assert any("mathjax" in address for address in addresses)


class TestChapters:
    def test_a_part_opens_with_its_title_and_its_size(self, small_site):
        openers = {name: page(small_site, name).select_one("article > .opener") for name in CHAPTER_PAGES}
        assert text(openers[LOSS]) == "Part I First part Chapter 2, 10 minutes 10 minutes"
        assert text(openers[TEMPERATURES]) == "Part II Second part Chapter 7, 20 minutes 20 minutes"

    def test_the_title_stays_the_first_heading_and_the_question_is_named(self, small_site):
        soup = page(small_site, LOSS)
        assert soup.article.find(["h1", "h2"]).name == "h1"
        assert text(soup.select_one("p.question")) == "What is the loss?"

    def test_passages_are_named_by_their_bold_opening(self, small_site):
        soup = page(small_site, TEMPERATURES)
        assert text(soup.select_one("p.predict")).startswith("Predict first. Does")
        assert text(soup.select_one("p.break")).startswith("What would break this?")
        assert text(page(small_site, LOSS).select_one("p.needs")).startswith("Time: 10 minutes")

    def test_a_symbol_has_one_note_where_a_section_uses_it_first(self, small_site):
        assert not page(small_site, LOSS).select(".symbol-note")
        (note,) = page(small_site, TEMPERATURES).select(".symbol-note")
        assert "predict" in note.find_next_sibling("p")["class"]
        lines = [text(line) for line in note.select("p")]
        assert lines == ["\\(\\tau\\) tau The temperature.", "\\(P\\) P A share.", "\\(H(P)\\) H The entropy."]
        assert {link["href"] for link in note.select("a")} == {"glossary.html#symbols"}


class TestLaunchButtons:
    def test_are_absent_until_a_repository_is_named(self, small_site):
        for name, soup in pages(small_site).items():
            assert not re.search("mybinder|colab|github.com/ada", str(soup)), name

    @pytest.mark.parametrize("name", CHAPTER_PAGES)
    def test_open_the_chapters_notebook(self, launch_site, name):
        links = [a["href"] for a in page(launch_site, name).select("a[href]")]
        assert f"https://mybinder.org/v2/gh/ada/small-book/main?urlpath=lab/tree/chapters/{name}.ipynb" in links
        colab = f"https://colab.research.google.com/github/ada/small-book/blob/main/chapters/{name}.ipynb"
        assert colab in links


class TestFailure:
    def test_a_broken_reference_names_the_chapter_and_leaves_the_earlier_site(self, book_root, tmp_path):
        book = manifest.load(book_root)
        broken = tmp_path / "notebooks"
        broken.mkdir()
        for chapter in book.chapters:
            notebook = (book_root / "_build" / "chapters" / f"{chapter.file}.ipynb").read_text()
            (broken / f"{chapter.file}.ipynb").write_text(notebook.replace("{eq}`loss`", "{eq}`lost`"))
        earlier = tmp_path / "site"
        earlier.mkdir()
        (earlier / "index.html").write_text("earlier")
        with pytest.raises(SiteError, match=r"not built:\n.*07-ten-temperatures.*lost") as caught:
            site.build(book, broken, earlier)
        assert str(tmp_path) not in str(caught.value)
        assert [(path.name, path.read_text()) for path in earlier.iterdir()] == [("index.html", "earlier")]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["notebooks", "site"]

    def test_a_missing_notebook_is_named_with_what_to_do(self, book_root, tmp_path):
        with pytest.raises(SiteError, match=r"02-the-loss\.ipynb, which does not exist. Run `python -m contrastlab"):
            site.build(manifest.load(book_root), tmp_path, tmp_path / "site")
        assert list(tmp_path.iterdir()) == []


class TestTheBook:
    def test_every_chapter_is_a_numbered_page(self, site_folder):
        for chapter in manifest.load(REPOSITORY).chapters:
            assert text(page(site_folder, chapter.file).article.h1).startswith(f"{chapter.number}. ")

    def test_every_part_opens_with_its_title_above_its_first_chapter(self, site_folder):
        parts = manifest.load(REPOSITORY).parts
        found = {
            chapter.file: [text(title) for title in page(site_folder, chapter.file).select(".opener .part-title")]
            for part in parts
            for chapter in part.chapters
        }
        assert {file: titles for file, titles in found.items() if titles} == {
            part.chapters[0].file: [part.title] for part in parts
        }

    def test_the_panel_that_trains_shows_its_recorded_result(self, site_folder):
        (panel,) = page(site_folder, "06-training-an-encoder").select(".contrastlab-panel")
        assert "A recorded result, which nothing here can change" in text(panel)
        assert panel.select("svg") and len(panel.select("table tr")) > 3

    def test_every_image_has_alt_text_of_its_own(self, site_folder):
        found = pages(site_folder).items()
        alts = {name: [image.get("alt", "") for image in soup.select("img")] for name, soup in found}
        assert sum(map(len, alts.values())) >= len(manifest.load(REPOSITORY).chapters)
        for name, found in alts.items():
            assert len(set(found)) == len(found), f"{name}: two images with one text"
            for alt in found:
                assert len(alt.split()) >= 8 and not re.search(r"\.(png|svg|jpe?g)\b", alt), f"{name}: {alt!r}"

    def test_every_chapter_explains_symbols_and_asks_for_a_prediction(self, site_folder):
        for number, chapter in enumerate(manifest.load(REPOSITORY).chapters):
            soup = page(site_folder, chapter.file)
            assert soup.select_one("p.question") and soup.select_one("p.needs"), chapter.file
            assert soup.select("p.predict") and soup.select("p.break"), chapter.file
            notes = [text(line) for line in soup.select(".symbol-note p")]
            assert len(set(notes)) == len(notes)
            assert any("The temperature, a number" in line for line in notes) or number == 0, chapter.file

    def test_photographs_and_nothing_else_are_marked_as_such(self, site_folder):
        marked = {
            image.find_parent("figure")["id"]
            for soup in pages(site_folder).values()
            for image in soup.select("img.photograph")
        }
        assert marked == {"fig-views-of-a-boot", "fig-one-game", "fig-two-views", "fig-nearest-negatives"}

    def test_every_figure_is_numbered_and_captioned(self, site_folder):
        for name, soup in pages(site_folder).items():
            for figure in soup.select("article figure"):
                assert re.match(r"Figure \d+\.\d+ \w", text(figure.figcaption)), name

    def test_nothing_is_loaded_from_another_host(self, site_folder):
        for name, soup in pages(site_folder).items():
            assert [address for address in loaded_addresses(soup) if urlparse(address).netloc] == [], name
