"""The folder for Jupyter Book 2: what it lists, what it holds, and that Jupyter Book 2 reads all of it."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import small_book
from conftest import without_browser
from contrastlab import cli, manifest, notebooks
from contrastlab.site import myst

# What its writer of Markdown has no form for; its reader knows both.
NOT_WRITTEN = re.compile(r"_build/exports/\S+ Unsupported node type: (outputs|anywidget)")

BACK = ["experiments.md", "glossary.md"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    book = manifest.load()
    return myst.write(book, book.folder, tmp_path_factory.mktemp("book") / "myst").parent


def listed(folder: Path) -> list[str]:
    toc = json.loads((folder / "myst.yml").read_text())["project"]["toc"]
    return [page["file"] for entry in toc for page in (entry.get("children") or [entry])]


def test_pages_are_those_of_book_toml_in_their_order(folder):
    chapters = [f"{chapter.file}.ipynb" for chapter in manifest.load().chapters]
    assert listed(folder) == ["index.md", *chapters, *BACK]
    assert {path.name for path in folder.glob("*.ipynb")} == set(chapters)


def test_the_command_writes_the_folder_from_the_notebooks_and_says_where(tmp_path, monkeypatch, capsys):
    root = small_book.write(tmp_path)
    for source in root.glob("chapters/[0-9]*.md"):
        source.with_suffix(".ipynb").write_bytes(notebooks.to_bytes(notebooks.source_to_notebook(source)))
    monkeypatch.chdir(root)
    assert cli.main(["book", "--myst"]) == 0
    written = root / "_build" / "myst"
    assert listed(written) == ["index.md", "02-the-loss.ipynb", "07-ten-temperatures.ipynb", *BACK]
    assert all((written / name).is_file() for name in listed(written))
    assert f"Jupyter Book 2 reads {written}" in capsys.readouterr().out


def test_figures_keep_name_caption_and_alt_text(folder):
    notebook = nbformat.read(folder / "07-ten-temperatures.ipynb", as_version=4)
    figures = [cell.source for cell in notebook.cells if cell.source.startswith("```{figure}")]
    named = next(figure for figure in figures if ":name: fig-ten-temperatures" in figure)
    picture, alt = re.search(r"\./(\S+)", named)[1], re.search(r":alt: (.+)", named)[1]
    assert (folder / picture).read_bytes().startswith(b"\x89PNG")
    assert len(alt) > 40
    assert len(named.splitlines()[-2]) > 40  # the caption
    assert all(
        "image/png" not in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])
    )


def test_interactive_figures_are_directives_with_module_and_state(folder):
    found = {}
    for path in folder.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            assert "contrastlab-figure" not in json.dumps(cell.get("outputs", []))
            if match := re.fullmatch(r"```\{anywidget\} \./(\S+)\n(.*)\n```", cell.source):
                found[match[1]] = json.loads(match[2])
    assert found["widgets/temperature.mjs"]["tau"] == 0.5
    assert not any(module.endswith(name) for module in found for name in myst.STAY_STILL)
    for module in found:
        text = (folder / module).read_text()
        assert "export default" in text
        assert "import {" not in text


def test_title_page_holds_the_world_of_points(folder):
    text = (folder / "index.md").read_text()
    assert "```{anywidget} ./widgets/world.mjs" in text
    assert "{raw}" not in text
    assert "{toctree}" not in text


def test_writing_again_leaves_nothing_of_the_earlier_folder(folder):
    (folder / "old.md").write_text("old")
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.ipynb")}
    book = manifest.load()
    myst.write(book, book.folder, folder)
    assert not (folder / "old.md").exists()
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.ipynb")} == before


def test_jupyter_book_reads_every_page_without_a_warning(folder):
    if shutil.which("node") is None:
        without_browser("no Node.js found, which Jupyter Book 2 runs on. Install it: `apt-get install nodejs`.")
    command = [sys.executable, "-m", "jupyter_book", "build", "--md", "--force", *listed(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=240)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    complaints = [
        line for line in said.splitlines() if re.match(r"\s*(⚠|⛔|❌)", line) and not NOT_WRITTEN.search(line)
    ]
    assert not complaints
    exported = list((folder / "_build" / "exports").glob("*.md"))
    assert len(exported) == len(listed(folder))


def test_jupyter_book_would_complain(folder, tmp_path):
    """So that silence above means something."""
    if shutil.which("node") is None:
        without_browser("no Node.js found, which Jupyter Book 2 runs on. Install it: `apt-get install nodejs`.")
    (tmp_path / "myst.yml").write_text('{"version": 1, "project": {"toc": [{"file": "page.md"}]}}')
    (tmp_path / "page.md").write_text("# Page\n\nSee {numref}`fig-of-nothing`.\n")
    command = [sys.executable, "-m", "jupyter_book", "build", "--md", "--force", "page.md"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240)
    assert "Cross reference target was not found: fig-of-nothing" in done.stdout + done.stderr
