"""A small table that Jupyter and the website show as HTML, and a terminal as aligned text."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Table:
    """Rows of short texts under a header. The first column names the row, the others are aligned to the right.

    As the value of a notebook's cell it is an HTML table; its text stands beside it, for the tests that compare
    outputs and for readers without HTML. Raises ValueError where a row has not as many cells as the header.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"the table has {len(self.header)} columns, but this row has {len(row)}: {list(row)}")

    def __repr__(self) -> str:
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(_text(line, widths) for line in lines)

    def _repr_html_(self) -> str:
        head = "".join(_cell("th", 'scope="col"', text, i) for i, text in enumerate(self.header))
        body = "".join(f"<tr>{_html(row)}</tr>\n" for row in self.rows)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def _text(line: Sequence[str], widths: Sequence[int]) -> str:
    padded = [text.rjust(width) for text, width in zip(line, widths, strict=True)]
    return "  ".join([line[0].ljust(widths[0]), *padded[1:]]).rstrip()


def _html(row: Sequence[str]) -> str:
    return "".join(_cell("td" if i else "th", "" if i else 'scope="row"', text, i) for i, text in enumerate(row))


def _cell(tag: str, attribute: str, text: str, column: int) -> str:
    opening = f"{tag} {attribute}".rstrip()
    return f'<{opening} style="text-align: {"right" if column else "left"}">{escape(text)}</{tag}>'
