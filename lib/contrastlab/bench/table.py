"""The rows, and the verdicts on them, as Markdown tables that also read well as text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .measure import Row
from .targets import Verdict

TITLES = ("part", "setting", "variant", "measured", "ours is better by")
TITLES_OF_TARGETS = ("part", "target", "required", "measured", "verdict")


def heading(machine: Mapping[str, Any]) -> str:
    """The machine in words, with the rules of measuring."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    vectors = "vector units" if machine["bfloat16 units"] else "no units"
    units = "matrix units" if machine["bfloat16 matrix units"] else vectors
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['capability']}, {units} for bfloat16, "
        f"load {machine['load']}; {machine['system']}; {versions}.\n"
        "CPU seconds of one thread, of all workers where there are some, unless a row says wall clock; variants in "
        "turn in one process, medians.\n"
    )


def of(rows: Sequence[Row]) -> str:
    """The table of what was measured."""
    return _table([TITLES, *map(_cells, rows)])


def of_targets(verdicts: Sequence[Verdict]) -> str:
    """The table of what is required, beside what was measured; empty without targets."""
    if not verdicts:
        return ""
    return _table([TITLES_OF_TARGETS, *map(_cells_of_target, verdicts)])


def document(machine: Mapping[str, Any], rows: Sequence[Row], verdicts: Sequence[Verdict]) -> str:
    """Heading and both tables."""
    return "\n".join([heading(machine), of(rows), "", of_targets(verdicts)]).rstrip() + "\n"


def _table(cells: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [_line(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _line(texts: Iterable[str]) -> str:
    return "| " + " | ".join(texts) + " |"


def _cells(row: Row) -> tuple[str, ...]:
    ours = "" if row.ours is None else f"{_number(row.ours)} x"
    value = row.left_out if row.value is None else f"{_number(row.value)} {row.unit}"
    return row.part, row.setting, row.variant, value, ours


def _cells_of_target(verdict: Verdict) -> tuple[str, ...]:
    measured = "" if verdict.measured is None else _number(verdict.measured)
    return verdict.part, verdict.number, verdict.required, measured, verdict.verdict


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
