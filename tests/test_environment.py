"""The three descriptions of what the book needs say the same."""

import re
import tomllib
from pathlib import Path

import contrastlab
from contrastlab import bench, manifest, notebooks

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch"}
TOOLS = {"pip", "git", "make"}


def split(requirement: str) -> tuple[str, str]:
    name, bounds = re.fullmatch(r"([A-Za-z0-9-]+)(.*)", requirement.strip()).groups()
    return CONDA_NAMES.get(name, name), bounds


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_and_pyproject_agree():
    extras = project()["optional-dependencies"]
    assert len(extras.pop("bench")) == len(bench.PEERS)  # whole frameworks, which nobody needs to read or test the book
    wanted = {split(r) for group in (project()["dependencies"], *extras.values()) for r in group}
    wanted.add(("python", project()["requires-python"]))
    lines = (ROOT / "environment.yml").read_text().split("dependencies:")[1].splitlines()
    items = [line.strip(" -") for line in lines if line.strip().startswith("- ") and not line.endswith("pip:")]
    items.remove("e .")
    assert {split(item) for item in items} - {(tool, "") for tool in TOOLS} == wanted


def test_every_requirement_has_a_lower_bound_and_no_pin():
    extras = project()["optional-dependencies"]
    for requirement in [*project()["dependencies"], *(r for group in extras.values() for r in group)]:
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", requirement), requirement


def test_versions_agree():
    assert contrastlab.__version__ == project()["version"]
    assert f"version: {contrastlab.__version__}" in (ROOT / "CITATION.cff").read_text()


def test_the_picture_of_the_readme_is_the_figure_of_its_chapter():
    book = manifest.load(ROOT)
    pictures = [notebooks.picture(book.folder / f"{chapter.file}.ipynb", book.cover) for chapter in book.chapters]
    assert (book.folder / "cover.png").read_bytes() in pictures
    assert "(chapters/cover.png)" in (ROOT / "README.md").read_text()


def test_the_readme_maps_every_chapter():
    readme = (ROOT / "README.md").read_text()
    for chapter in manifest.load(ROOT).chapters:
        assert f"(chapters/{chapter.file}.ipynb) | {chapter.question} |" in readme
