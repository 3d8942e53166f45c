"""Rows of the table, and how their numbers are taken."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

MS, MB, RATE, SECONDS = "ms", "MB", "views/s a core", "s"
MORE_IS_BETTER = (RATE,)


@dataclass(frozen=True)
class Row:
    """One number of the table. ours: how many times better this book's variant is, in time, rate or memory.

    value: None where the variant was left out; left_out then says why.
    """

    part: str
    setting: str
    variant: str
    value: float | None
    unit: str
    ours: float | None = None
    left_out: str = ""


def compare(part: str, setting: str, unit: str, values: Mapping[str, float], ours: str) -> list[Row]:
    """A row a variant, each beside the one that is named by ours."""
    rows = []
    for variant, value in values.items():
        better = values[ours] / value if unit in MORE_IS_BETTER else value / values[ours]
        rows.append(Row(part, setting, variant, value, unit, better))
    return rows


def too_large(part: str, setting: str, unit: str, needed: Mapping[str, float]) -> list[Row]:
    """A row for each variant that this machine's memory does not hold, with the bytes that it needs."""
    sizes = {variant: size / 1e9 for variant, size in needed.items()}
    words = {variant: f"left out, needs {size:,.{0 if size > 10 else 1}f} GB" for variant, size in sizes.items()}
    return [Row(part, setting, variant, None, unit, left_out=why) for variant, why in words.items()]


def interleaved(
    variants: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.thread_time
) -> dict[str, float]:
    """The median seconds of each variant by the clock, over rounds in which each has its turn."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            seconds[name].append(timed(variant, clock))
    return {name: median(times) for name, times in seconds.items()}


def timed(variant: Callable[[], object], clock: Callable[[], float] = time.thread_time) -> float:
    """Seconds of one call by the clock."""
    start = clock()
    variant()
    return clock() - start


def with_workers() -> float:
    """CPU seconds of this process, all its threads, and the child processes that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
