"""A Sphinx extension: the first time a chapter uses a symbol of the glossary, its meaning stands in the margin."""

import re
from collections.abc import Iterator

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY, SYMBOLS = "glossary", "symbols"
# A letter stands for the symbol if no other letter touches it and it is no index, no power and no part of a command.
_LETTER = r"(?<![A-Za-z\\^_])(?<!_\{{){}(?![A-Za-z])"
_NAMES = re.compile(r"\\(?:mathrm|text|operatorname)\s*\{[^}]*\}")


def annotate(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Put a note before each paragraph of a chapter in which symbols of the glossary appear for the first time.

    A chapter's opening, up to its first section, promises what is explained later: it has no notes.
    """
    if page not in app.config.chapter_numbers:
        return
    waiting = {pattern(row): row for row in rows(app.env.get_doctree(GLOSSARY))}
    target = f"{app.builder.get_relative_uri(page, GLOSSARY)}#{SYMBOLS}"
    for paragraph in _paragraphs(doctree):
        formulas = " ".join(_NAMES.sub(" ", math.astext()) for math in paragraph.findall(nodes.math))
        found = [used for used in waiting if used and used.search(formulas)]
        if found:
            place = paragraph.parent.index(paragraph)
            paragraph.parent.insert(place, note([waiting.pop(used) for used in found], target))


def rows(glossary: nodes.document) -> Iterator[nodes.row]:
    """The rows of the glossary's table of symbols: text, code, meaning. A glossary without the table has none."""
    for section in glossary.findall(nodes.section):
        if SYMBOLS in section["ids"]:
            for body in section.findall(nodes.tbody):
                yield from body.children


def pattern(row: nodes.row) -> re.Pattern | None:
    r"""What finds a row's symbols in TeX. H(r) is found as H; a row of three and more, the sizes, is not looked for."""
    symbols = [math.astext().partition("(")[0].strip() for math in row[0].findall(nodes.math)]
    if not 0 < len(symbols) < 3:
        return None
    found = (re.escape(s) + r"(?![A-Za-z])" if s.startswith("\\") else _LETTER.format(re.escape(s)) for s in symbols)
    return re.compile("|".join(found))


def note(found: list[nodes.row], target: str) -> nodes.container:
    """One line a symbol, as the glossary has it; its name in code, if it has one, leads there."""
    lines = []
    for row in found:
        symbols, code, meaning = map(_copies, row)
        link = [nodes.reference("", "", *code, refuri=target, internal=True), nodes.Text(" ")] if code else []
        lines.append(nodes.paragraph("", "", *symbols, nodes.Text(" "), *link, *meaning))
    return nodes.container("", *lines, classes=["symbol-note"])


def _copies(cell: nodes.entry) -> list[nodes.Node]:
    """What stands in a cell of the table, which may be empty."""
    return [child.deepcopy() for paragraph in cell for child in paragraph]


def _paragraphs(doctree: nodes.document) -> list[nodes.paragraph]:
    """The paragraphs of a chapter's sections that are running text, not cells of a table, lists or captions."""
    (chapter,) = (node for node in doctree.children if isinstance(node, nodes.section))
    sections = (node for node in chapter.children if isinstance(node, nodes.section))
    found = (paragraph for section in sections for paragraph in section.findall(nodes.paragraph))
    return [paragraph for paragraph in found if isinstance(paragraph.parent, nodes.section)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", annotate)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
