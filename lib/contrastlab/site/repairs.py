"""A Sphinx extension: faults of the engine's HTML that keep a page from readers who hear it, put right in one place."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

REPAIRS = (
    # The cell above the names of a table's rows is no heading: it says nothing.
    (re.compile(r"<th\b[^>]*>\s*(?:<p>\s*</p>)?\s*</th>"), "<td></td>"),
    # Roles of the bibliography that ARIA has given up, and a list whose items are none.
    (re.compile(r' role="doc-biblioentry"| role="list"(?= class="citation-list")'), ""),
)


def repair(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    for fault, right in REPAIRS:
        context["body"] = fault.sub(right, context.get("body", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", repair)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
