"""Links: within the site each leads somewhere, downloads are the committed notebooks, outside ones are listed."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

import small_book
from contrastlab import cli, manifest

ROOT = Path(__file__).parents[1]


class Links(HTMLParser):
    """The addresses that a page points to or loads, and the names that can be pointed to."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.addresses, self.names = [], set()
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.addresses.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.names.add(value)


def test_every_internal_link_leads_somewhere(site_folder, page_names):
    pages = {name: Links((site_folder / name).read_text("utf-8")) for name in page_names}
    broken, checked = [], 0
    for name, page in pages.items():
        for address in page.addresses:
            path, fragment = urldefrag(address)
            parts = urlsplit(path)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (site_folder / name).parent / unquote(parts.path) if parts.path else site_folder / name
            if not target.resolve().is_file():
                broken.append(f"{name}: no file {address}")
                continue
            linked = pages.get(target.resolve().relative_to(site_folder.resolve()).as_posix())
            if fragment and linked and unquote(fragment) not in linked.names:
                broken.append(f"{name}: no place {address}")
    assert not broken
    assert checked > len(page_names)


def test_every_chapter_downloads_as_its_committed_notebook(site_folder):
    for chapter in manifest.load(ROOT).chapters:
        page = Links((site_folder / f"{chapter.file}.html").read_text("utf-8"))
        (download,) = {address for address in page.addresses if address.endswith(".ipynb")}
        assert (site_folder / download).read_bytes() == (ROOT / "chapters" / f"{chapter.file}.ipynb").read_bytes()


@pytest.fixture(scope="module")
def linking_book(tmp_path_factory) -> Path:
    """A small book with one link to this machine, where nobody answers, and one to an address without a host."""
    root = small_book.write(tmp_path_factory.mktemp("linking"))
    (root / "chapters" / "experiments.md").write_text("# Experiments\n\n[nobody](http://127.0.0.1:9/nobody)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert cli.main(["notebooks"]) == 0
    return root


def test_links_to_other_hosts_are_listed_and_none_is_asked(linking_book, monkeypatch, capsys):
    monkeypatch.chdir(linking_book)
    assert cli.main(["links"]) == 0
    assert capsys.readouterr().out == "http://127.0.0.1:9/nobody  (experiments)\n"


def test_a_link_that_nobody_answers_is_named_when_asked(linking_book, monkeypatch, capsys):
    monkeypatch.chdir(linking_book)
    assert cli.main(["links", "--check"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("http://127.0.0.1:9/nobody  (experiments): ")
    assert "1 link leads nowhere" in said.err
