"""The rows as a Markdown table that also reads well as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from .measure import Row

TITLES = ("part", "setting", "variant", "measured", "ours is better by")


def heading(machine: Mapping[str, Any]) -> str:
    """The machine in words, with the rules of measuring."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    units = "with" if machine["bfloat16 units"] else "without"
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['capability']}, {units} bfloat16 units, "
        f"load {machine['load']}; {machine['system']}; {versions}.\n"
        "CPU seconds of one thread, of all workers where there are some; variants in turn in one process, medians.\n"
    )


def of(rows: Sequence[Row]) -> str:
    """The table."""
    cells = [TITLES, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(TITLES))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    ours = "" if row.ours is None else f"{_number(row.ours)} x"
    return row.part, row.setting, row.variant, f"{_number(row.value)} {row.unit}", ours


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
