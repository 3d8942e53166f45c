"""Tables: one content, as HTML that a browser can read back and as aligned text."""

from html.parser import HTMLParser

import pytest

from contrastlab.tables import Table


class Cells(HTMLParser):
    """The cells of an HTML table, row by row."""

    def __init__(self, html):
        super().__init__()
        self.rows, self.headers = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.headers.append(dict(attributes).get("scope") if tag == "th" else None)

    def handle_data(self, data):
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


TABLE = Table(["loss", "a & b", "U"], [["simple", "79.5 ± 0.6", "1.40"], ["tau < 1", "82.8", "2.77"]])


def test_html_holds_every_cell_and_names_rows_and_columns():
    cells = Cells(TABLE._repr_html_())
    assert cells.rows == [TABLE.header, *TABLE.rows]
    assert cells.headers == ["col"] * 3 + ["row", None, None] * 2


def test_text_is_aligned():
    assert repr(TABLE).splitlines() == [
        "loss          a & b     U",
        "simple   79.5 ± 0.6  1.40",
        "tau < 1        82.8  2.77",
    ]


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="3 columns, but this row has 2"):
        Table(["loss", "a", "b"], [["simple", "1"]])
