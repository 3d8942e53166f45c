"""The book for Jupyter Book 2: a folder with myst.yml, made from book.toml and the executed notebooks."""

import base64
import html
import json
import re
import shutil
import tempfile
import zlib
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..files import ensure_writable
from ..manifest import Manifest
from ..widgets.figure import module_source
from .pages import ROMAN, title_page

COPIED = ("experiments.md", "references.bib")
STAY_STILL = {"ten_temperatures.mjs"}  # it fetches a file, which MyST would not copy beside its module
_TWIN = re.compile(
    r'<div class="contrastlab-figure" data-module="(?P<module>[^"]+)" data-model="(?P<model>[^"]*)">(?P<still>.*)</div>'
)
_RAW = re.compile(r"^```\{raw\} html\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
_SPHINX_ONLY = re.compile(r"^```\{toctree\}.*?^```\n?|^\{\.[\w-]+\}\n", re.MULTILINE | re.DOTALL)
_DEFINED = re.compile(r"(?<=\n)(?P<term>\S[^\n]*)\n  (?=\S)")


def write(book: Manifest, notebooks: Path, destination: Path) -> Path:
    """Write the folder from the executed NN-name.ipynb in `notebooks`, in place of an earlier one; return myst.yml.

    `jupyter book start` in it shows the book. Interactive figures become {anywidget} directives, which MyST brings to
    life without a kernel.
    """
    destination = Path(destination).resolve()
    ensure_writable(destination.parent)
    with tempfile.TemporaryDirectory(prefix=".myst-", dir=destination.parent) as temporary:
        folder = Path(temporary) / "myst"
        folder.mkdir()
        for name in COPIED:
            shutil.copy(book.folder / name, folder)
        index = _RAW.sub(lambda raw: _live_figure(raw[1], folder) or "", title_page(book))
        (folder / "index.md").write_text(_SPHINX_ONLY.sub("", index), encoding="utf-8")
        glossary = (book.folder / "glossary.md").read_text(encoding="utf-8")
        (folder / "glossary.md").write_text(_definition_list(glossary), encoding="utf-8")
        for chapter in book.chapters:
            notebook = nbformat.read(notebooks / f"{chapter.file}.ipynb", as_version=4)
            nbformat.write(_with_directives(notebook, folder), folder / f"{chapter.file}.ipynb")
        (folder / "myst.yml").write_text(json.dumps(_project(book), indent=2) + "\n", encoding="utf-8")
        if destination.exists():
            shutil.rmtree(destination)
        folder.rename(destination)
    return destination / "myst.yml"


def _project(book: Manifest) -> dict[str, object]:
    """What stands in myst.yml; JSON is YAML."""
    parts = [
        {"title": f"Part {numeral}. {part.title}", "children": [{"file": f"{c.file}.ipynb"} for c in part.chapters]}
        for numeral, part in zip(ROMAN, book.parts, strict=False)
    ]
    back = {"title": "Back matter", "children": [{"file": "experiments.md"}, {"file": "glossary.md"}]}
    project = {
        "title": book.title,
        "subtitle": book.subtitle,
        "description": book.description,
        "authors": list(book.authors),
        "bibliography": ["references.bib"],
        "toc": [{"file": "index.md"}, *parts, back],
    }
    if book.launch.repository:
        project["github"] = book.launch.repository
    return {"version": 1, "project": project, "site": {"template": "book-theme", "title": book.title}}


def _definition_list(glossary: str) -> str:
    """Sphinx indents the definitions of a glossary; MyST wants a list of definitions, which both show alike."""
    head, _, terms = glossary.partition("```{glossary}")
    terms, _, tail = terms.partition("```")
    return head + _DEFINED.sub(r"\g<term>\n: ", terms) + tail


def _with_directives(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with its figures in directives, each below the cell that shows it.

    Jupyter Book 2 reads no caption, name or alt text from a cell, and shows no widget that a cell put out.
    """
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        for number, output in enumerate(list(cell.get("outputs", []))):
            if directive := _directive(cell, output.get("data", {}), folder):
                cell.outputs.remove(output)
                cells.append(nbformat.v4.new_markdown_cell(directive, id=f"{cell.id}-{number}"))
    notebook.cells = cells
    return notebook


def _directive(cell: NotebookNode, data: dict[str, str], folder: Path) -> str | None:
    """The directive that shows this output, with its file written into the folder; None for an output of text."""
    if live := _live_figure(data.get("text/html", ""), folder):
        return live
    if twin := _twin(data.get("text/html", "")):
        data["text/html"] = twin["still"]
    if "image/png" not in data:
        return None
    told = cell.metadata.get("mystnb", {})
    figure = told.get("figure", {})
    content = base64.b64decode(data["image/png"])
    picture = f"pictures/{cell.id}-{zlib.crc32(content):08x}.png"  # a cell may put out several
    _write(folder / picture, content)
    options = {"name": figure.get("name"), "alt": told.get("image", {}).get("alt")}
    lines = [f":{name}: {value}" for name, value in options.items() if value]
    return "\n".join([f"```{{figure}} ./{picture}", *lines, "", figure.get("caption", ""), "```"])


def _live_figure(markup: str, folder: Path) -> str | None:
    """The directive of an interactive figure, from its twin; None for other markup, and for one that stays still."""
    found = _twin(markup)
    if found is None or found["module"] in STAY_STILL:
        return None
    module = f"widgets/{found['module']}"
    _write(folder / module, module_source(found["module"]).encode())
    return f"```{{anywidget}} ./{module}\n{html.unescape(found['model'])}\n```"


def _twin(markup: str) -> re.Match | None:
    return _TWIN.fullmatch(markup.replace("\n", ""))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
