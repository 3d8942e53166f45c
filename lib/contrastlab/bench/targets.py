"""What the book's code is required to reach, and whether a measurement reached it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import book, loss, step, views
from .measure import MB, MS, RATE, Row

AT_MOST, AT_LEAST = "at most", "at least"
MET, MISSED, UNKNOWN = "met", "MISSED", "not measured"
QUANTITIES = {MS: "time", RATE: "rate"}
STEP_WITH_MATRIX_UNITS, STEP_WITHOUT = 4, 2  # times the usual loop, by how the processor multiplies bfloat16


@dataclass(frozen=True)
class Target:
    """A number of the table, or its ratio to that of another variant in the same setting, and its limit.

    setting: None where a part has one setting only. over: None where the number itself counts.
    """

    part: str
    setting: str | None
    variant: str
    over: str | None
    bound: str
    limit: float
    unit: str


@dataclass(frozen=True)
class Verdict:
    """One line on a target: what is required and what was measured, None where it was not."""

    part: str
    number: str
    required: str
    measured: float | None
    verdict: str


def targets(matrix_units: bool) -> list[Target]:
    """All of them, for a processor with or without units that multiply matrices of bfloat16, and not only vectors."""
    of_step = STEP_WITH_MATRIX_UNITS if matrix_units else STEP_WITHOUT
    n = f"N = {4096:,}"
    return [
        Target("loss", n, loss.OURS, loss.PRODUCTS, AT_MOST, 1.5, MS),
        Target("loss", n, "cross-entropy", loss.OURS, AT_LEAST, 4, MS),
        Target("loss", n, "lightly", loss.OURS, AT_LEAST, 8, MS),
        Target("memory", f"loss, N = {8192:,}", loss.OURS, None, AT_MOST, 16, MB),
        Target("views", None, views.OURS, views.TORCHVISION, AT_LEAST, 15, RATE),
        Target("views", None, views.OURS, views.KORNIA, AT_LEAST, 4, RATE),
        Target("step", None, step.OURS, views.TORCHVISION, AT_LEAST, of_step, RATE),
        Target("sweep", None, book.PROJECTION, None, AT_MOST, 15, book.MINUTES),
    ]


def judge(rows: Sequence[Row], parts: Iterable[str], matrix_units: bool) -> list[Verdict]:
    """A verdict on each target of the parts."""
    return [_verdict(target, rows) for target in targets(matrix_units) if target.part in parts]


def _verdict(target: Target, rows: Sequence[Row]) -> Verdict:
    value = _value(target, target.variant, rows)
    divisor = 1.0 if target.over is None else _value(target, target.over, rows)
    measured = value / divisor if value is not None and divisor is not None else None
    at = f", {target.setting}" if target.setting else ""
    if target.over is None:
        number, unit = f"{target.variant}{at}", f" {target.unit}"
    else:
        number, unit = f"{QUANTITIES[target.unit]} of {target.variant} / {target.over}{at}", ""
    required = f"{target.bound} {target.limit:g}{unit}"
    if measured is None:
        return Verdict(target.part, number, required, None, UNKNOWN)
    reached = measured <= target.limit if target.bound == AT_MOST else measured >= target.limit
    return Verdict(target.part, number, required, measured, MET if reached else MISSED)


def _value(target: Target, variant: str, rows: Sequence[Row]) -> float | None:
    found = [
        row.value
        for row in rows
        if (row.part, row.variant) == (target.part, variant) and target.setting in (None, row.setting)
    ]
    return found[0] if found else None
