"""A Sphinx extension: how a chapter opens, and its recurring passages by a name that the stylesheet knows.

Chapters stay plain Markdown, which reads well in stock Jupyter too; what marks a passage is its bold opening.
"""

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from .. import manifest

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
PASSAGES = {
    "Predict first.": "predict",
    "What would break this?": "break",
    "Time:": "needs",
    "In the paper:": "in-the-paper",
    "Exercise": "exercise",
    "Hint:": "hint",
}


def dress(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Name the passages of a chapter and put its part and its minutes above its title."""
    for number, part in enumerate(manifest.load(Path(app.srcdir)).parts):
        for chapter in part.chapters:
            if chapter.file == page:
                name_passages(doctree, chapter.question)
                doctree.insert(0, opener(ROMAN[number], part, chapter))


def name_passages(doctree: nodes.document, question: str) -> None:
    """Give each paragraph that opens with one of PASSAGES its class; the chapter's question gets one too."""
    for paragraph in doctree.findall(nodes.paragraph):
        opening = next((child for child in paragraph if child.astext()), None)  # MyST puts empty texts before bold ones
        if isinstance(opening, nodes.strong | nodes.emphasis):
            words = opening.astext()
            found = [name for start, name in PASSAGES.items() if words.startswith(start)]
            paragraph["classes"] += ["question"] if words == question else found


def opener(numeral: str, part: manifest.Part, chapter: manifest.Chapter) -> nodes.container:
    """The line above a chapter's title; where a part begins, the part's own title stands above it."""
    minutes = _line("chapter-minutes", f"{chapter.minutes} minutes")
    if chapter is not part.chapters[0]:
        return nodes.container("", _line("part-place", f"Part {numeral}. {part.title}"), minutes, classes=["opener"])
    place, title = _line("part-place", f"Part {numeral}"), _line("part-title", part.title)
    size = _line("part-size", f"{_span(part)}, {sum(c.minutes for c in part.chapters)} minutes")
    return nodes.container("", place, title, size, minutes, classes=["opener", "part-opener"])


def _line(name: str, text: str) -> nodes.paragraph:
    return nodes.paragraph("", text, classes=[name])


def _span(part: manifest.Part) -> str:
    first, last = part.chapters[0].number, part.chapters[-1].number
    return f"Chapter {first}" if first == last else f"Chapters {first} to {last}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", dress)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
