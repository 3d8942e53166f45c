"""The manifest: what book.toml says, and what a reader is told when it cannot be used."""

import subprocess
import sys
from pathlib import Path

import pytest

import small_book
from contrastlab import cli, manifest
from contrastlab.manifest import ManifestError
from contrastlab.names import UnknownName

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def root(tmp_path):
    return small_book.write(tmp_path)


def edit(root, old, new):
    path = root / "book.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_reads_parts_chapters_and_profiles_in_order(root):
    book = manifest.load(root)
    assert (book.title, book.subtitle, book.authors) == ("A small book", "For tests", ("Ada",))
    assert [part.title for part in book.parts] == ["First part", "Second part"]
    assert [(c.number, c.file, c.minutes) for c in book.chapters] == [
        (2, "02-the-loss", 10),
        (7, "07-ten-temperatures", 20),
    ]
    assert book.launch == manifest.Launch("", "main")
    assert book.profile("smoke") == {"data": "fashion-mini"}


def test_is_found_from_a_folder_below(root, monkeypatch):
    monkeypatch.chdir(root / "chapters")
    assert manifest.load().root == root


def test_the_books_own_manifest_names_chapters_that_exist():
    book = manifest.load(REPOSITORY)
    assert len(book.sources(book.chapters)) == len(book.chapters) > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "A small book"\n', "", r"lacks the key 'title' in \[book\]. Add it."),
        ('question = "What is the loss?"\n', "", "lacks the key 'question' in chapter '02-the-loss'"),
        ("minutes = 10", 'minutes = "ten"', "'minutes' in chapter '02-the-loss' is 'ten', expected .* type int"),
        ("07-ten-temperatures", "02-again", "lists chapter 2 twice, as '02-the-loss' and '02-again'"),
        ("02-the-loss", "the-loss.md", "'the-loss.md' is not of the form NN-name"),
        ("[launch]", "[launch", "not valid TOML"),
        ('repository = ""', 'repository = "me/book"', "'me/book', expected an address such as https://github.com/"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_where_and_what_to_do(root, old, new, message):
    edit(root, old, new)
    with pytest.raises(ManifestError, match=message):
        manifest.load(root)


def test_a_chapter_without_a_file_is_named(root):
    (root / "chapters" / "07-ten-temperatures.md").unlink()
    book = manifest.load(root)
    with pytest.raises(ManifestError, match=r"lists 07-ten-temperatures\.md, which .* does not hold"):
        book.sources(book.chapters)
    assert [path.name for path in book.sources(book.select(["02"]))] == ["02-the-loss.md"]


@pytest.mark.parametrize("name", ["7", "07", "07-ten-temperatures", "chapters/07-ten-temperatures.md"])
def test_a_chapter_is_selected_by_number_name_or_path(root, name):
    assert [c.file for c in manifest.load(root).select([name])] == ["07-ten-temperatures"]


def test_selecting_nothing_selects_everything(root):
    book = manifest.load(root)
    assert book.select([]) == book.chapters


def test_an_unknown_name_is_answered_with_the_nearest(root):
    book = manifest.load(root)
    with pytest.raises(UnknownName, match=r"unknown profile 'laptp'. Did you mean 'laptop'\? Known: smoke, laptop."):
        book.profile("laptp")
    with pytest.raises(UnknownName, match=r"unknown chapter '9'. Known: 02-the-loss, 07-ten-temperatures"):
        book.select(["9"])


def test_wrong_use_ends_with_2_and_one_message(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert cli.main(["notebooks", "03-the-lost"]) == 2
    assert capsys.readouterr().err == (
        "contrastlab notebooks: unknown chapter '03-the-lost'. Did you mean '02-the-loss'? "
        "Known: 02-the-loss, 07-ten-temperatures.\n"
    )


def test_a_failure_ends_with_1_and_one_message(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    edit(root, "02-the-loss", "the-loss")
    assert cli.main(["site"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("contrastlab site: chapter file 'the-loss'")
    assert "Traceback" not in error


def test_a_mistake_in_the_program_keeps_its_traceback(root, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr("contrastlab.jobs.site", lambda book: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["site"])


def test_the_command_line_starts_without_torch_or_jupyter():
    """`--help` and `study` are quick only as long as nothing heavy is imported to get there."""
    code = "import sys, contrastlab.cli; print(sorted({'torch', 'nbclient', 'sphinx', 'jupytext'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
