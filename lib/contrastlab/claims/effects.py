"""From numbers to a verdict: effects with their spread over seeds, facts that hold or not, and the one rule."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

HOLDS, WEAKER, FAILS = "holds", "weaker", "does not hold at this scale"
OPEN, UNTESTABLE = "open", "not testable here"
CONFIDENCE = 0.95
RULE = (
    "An effect is one number a seed, signed so that the paper says it is above 0. It is shown where the 95 % "
    "interval of its mean lies above 0 (Student's t over seeds; where there are two, like effects share one "
    "spread); small where it does, but the mean is under half of what the paper's Table 1 has for CIFAR-10; "
    "contrary where the interval lies below 0; and open where it contains 0 or there is one seed only. A fact "
    "counts as shown if it holds and as contrary if not. A claim holds if everything is shown. It is weaker if "
    "something is shown or small, but not all is shown. It does not hold at this scale if nothing is shown or small "
    "and something is contrary. It is open if everything is open: more seeds may decide it. It is not testable here "
    "if what it speaks of does not occur, whatever the number of seeds."
)


@dataclass(frozen=True)
class Fact:
    """Something that holds or does not, without a spread: an identity, or a bound on one encoder."""

    what: str
    holds: bool

    @property
    def status(self) -> str:
        """ "shown" or "contrary", as the rule says."""
        return "shown" if self.holds else "contrary"


@dataclass(frozen=True)
class Effect:
    """One number a seed, signed so that the paper says it is above 0; and its size in Table 1 for CIFAR-10, if there.

    spread: standard deviation over seeds and its degrees of freedom, where like effects share it; else the values' own.
    """

    what: str
    values: tuple[float, ...]
    paper: float | None = None
    spread: tuple[float, int] | None = None

    @property
    def n(self) -> int:
        """How many seeds there are."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(np.mean(self.values))

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the mean by Student's t, or None for a single seed."""
        if self.n < 2:
            return None
        deviation, freedom = self.spread or (np.std(self.values, ddof=1), self.n - 1)
        half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * deviation / self.n**0.5
        return self.mean - float(half), self.mean + float(half)

    @property
    def above(self) -> int:
        """How many seeds are above 0."""
        return sum(value > 0 for value in self.values)

    @property
    def sign_test(self) -> float:
        """One-sided p of the sign test: the chance of so many seeds above 0 if either sign were as likely."""
        return float(stats.binomtest(self.above, self.n, alternative="greater").pvalue)

    @property
    def status(self) -> str:
        """ "shown", "small", "contrary" or "open", as the rule says."""
        low, high = self.interval or (-np.inf, np.inf)
        if low > 0:
            return "small" if self.paper is not None and self.mean < self.paper / 2 else "shown"
        return "contrary" if high < 0 else "open"


def alike(names: Sequence[str], rows: np.ndarray) -> list[Effect]:
    """Effects of one kind, such as the steps of a sweep: rows (seeds, effects).

    Two seeds are too few for a spread each, so that they share one: the root of the mean variance.
    """
    seeds, count = rows.shape
    spread = (float(np.sqrt(rows.var(axis=0, ddof=1).mean())), (seeds - 1) * count) if seeds == 2 else None
    return [Effect(name, tuple(column), spread=spread) for name, column in zip(names, rows.T, strict=True)]


def verdict(findings: Sequence[Effect | Fact]) -> str:
    """The verdict that the rule gives. Raises ValueError for nothing to judge."""
    if not findings:
        raise ValueError("a verdict needs at least one effect or fact, got none")
    statuses = [finding.status for finding in findings]
    if all(status == "shown" for status in statuses):
        return HOLDS
    if any(status in ("shown", "small") for status in statuses):
        return WEAKER
    return FAILS if "contrary" in statuses else OPEN


def overall(verdicts: Sequence[str]) -> str:
    """One verdict over data sets: that of those which decide, or weaker where they differ.

    Where none decides, it is open if it is open for one of them.
    """
    decided = {word for word in verdicts if word not in (OPEN, UNTESTABLE)}
    if not decided:
        return OPEN if OPEN in verdicts else UNTESTABLE
    return decided.pop() if len(decided) == 1 else WEAKER


def trend_p(rows: np.ndarray) -> float:
    """Page's trend test: the chance of so clear a rise along the columns (seeds, columns) if their order meant nothing.

    Each seed ranks its columns; seeds are independent. Raises ValueError for fewer than two seeds or three columns.
    """
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 3:
        raise ValueError(f"the trend test needs at least 2 seeds and 3 columns, got {rows.shape}")
    return float(stats.page_trend_test(rows).pvalue)
