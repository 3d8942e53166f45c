"""The ledger: one row a claim of the paper, with what was measured on each data set and the verdict that follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import manifest, paper
from ..files import repository_root
from . import hard, identities, temperature
from .effects import OPEN, UNTESTABLE, Effect, Fact, overall, trend_p, verdict
from .study import NotAsked, NotRecorded, OwnTable, Study

MISSING = "not recorded"
EVERYWHERE = "any similarities"  # where an identity is checked


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, how it is checked, and the chapter that takes it up."""

    name: str
    says: str
    check: str
    chapter: int
    effects: Callable[[Any], list[Effect | Fact]]
    identity: bool = False  # needs no run
    trend: Callable[[Study], np.ndarray] | None = None  # (seeds, temperatures), rising where the paper is right
    untestable: Callable[[Study], str] | None = None  # the reason, or nothing


@dataclass(frozen=True)
class Finding:
    """What one data set says of a claim.

    note: why it is open or cannot be tested, or which command makes what is missing.
    """

    data: str
    verdict: str
    results: list[Effect | Fact] = field(default_factory=list)
    trend: float | None = None  # p of Page's test
    note: str = ""


@dataclass(frozen=True)
class Row:
    """A claim, its findings, one a data set, and the verdict over them. own_table: Table 1's values by data set."""

    claim: Claim
    findings: list[Finding]
    own_table: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The verdict over the data sets that have the runs, or MISSING where none has."""
        decided = [finding.verdict for finding in self.findings if finding.verdict != MISSING]
        return overall(decided) if decided else MISSING


CLAIMS = (
    Claim(
        "C1",
        "The loss is aware of hardness: the penalty on a negative grows as exp(s / tau), and pull and pushes are equal",
        "autograd in float64",
        3,
        lambda _: identities.hardness_aware(),
        identity=True,
    ),
    Claim(
        "C2",
        "The entropy of the relative penalties rises strictly with tau",
        "finite differences in float64",
        4,
        lambda _: identities.entropy_rises(),
        identity=True,
    ),
    Claim(
        "C3",
        "The loss becomes a triplet loss for tau to 0 and the simple loss for tau to infinity",
        "convergence in float64",
        4,
        lambda _: identities.two_limits(),
        identity=True,
    ),
    Claim(
        "C4",
        "The loss does not see semantics",
        "instances change places, in float64",
        1,
        lambda _: identities.ignores_semantics(),
        identity=True,
    ),
    Claim(
        "C5",
        "Eq. 6, the limit for small tau, learns nothing when it is the objective",
        "accuracy and uniformity beside the contrastive loss and an untrained encoder",
        6,
        temperature.triplet_learns_nothing,
        untestable=temperature.no_gain,
    ),
    Claim(
        "C6",
        "A smaller tau makes the embedding more uniform",
        "every step of tau",
        7,
        temperature.uniformity_falls,
        trend=lambda study: -study.table("uniformity", temperature.warm(study)),
    ),
    Claim(
        "C7",
        "A larger tau makes the embedding more tolerant",
        "every step of tau",
        7,
        temperature.tolerance_rises,
        trend=lambda study: study.table("tolerance", temperature.warm(study)),
    ),
    Claim(
        "C8",
        "A smaller tau widens the gap between positives and nearest negatives",
        "every step of tau",
        7,
        temperature.gap_falls,
        trend=lambda study: -temperature.gap_of_positives(study),
        untestable=temperature.no_gap,
    ),
    Claim(
        "C9",
        "A larger tau draws positives together",
        "every step of tau",
        7,
        temperature.positives_rise,
        trend=lambda study: study.table("positive_similarity", temperature.warm(study)),
    ),
    Claim(
        "C10",
        "Accuracy over tau is a reverse U, best at 0.2 or 0.3",
        "linear accuracy at every recorded tau",
        7,
        temperature.accuracy_peaks_inside,
    ),
    Claim(
        "C11",
        "The simple loss is far below the contrastive loss",
        "linear accuracy and effective rank",
        8,
        hard.simple_is_worse,
    ),
    Claim(
        "C12",
        "Over the hardest negatives the simple loss recovers",
        "linear accuracy and effective rank",
        8,
        hard.hard_simple_restores,
    ),
    Claim(
        "C13",
        "The hard loss is more uniform, depends less on tau, and likes larger tau",
        "uniformity and linear accuracy over tau",
        8,
        hard.hard_is_flat_and_even,
    ),
    Claim(
        "C14",
        "A very small tau looks at one or two samples, and accuracy suffers",
        f"effective negatives and linear accuracy at tau = {temperature.COLDEST}",
        4,
        temperature.coldest_hurts,
    ),
    Claim(
        "C15",
        "Hard negatives ease the dilemma",
        "best linear accuracy with and without",
        8,
        hard.hard_eases_the_dilemma,
    ),
)


def studies(book: Path | None = None, root: Path | None = None) -> list[Study]:
    """The data sets that [claims] of book.toml names. root: the folder under which data/runs lies."""
    book = book or repository_root()
    root = None if root is None else Path(root).expanduser()
    if root is not None and not (root / "data" / "runs").is_dir():
        raise ValueError(
            f"no records under {root}: expected {root}/data/runs, as `contrastlab sweep --records` makes it"
        )
    return [Study(name, profiles, book, root) for name, profiles in manifest.load(book).claims.items()]


def ledger(book: Path | None = None, root: Path | None = None) -> list[Row]:
    """One row a claim, computed from the records.

    book: the folder of book.toml, by default the one around the working folder. root: the folder under which data/runs
    lies, by default the same. What is not recorded is said in the row, and is no error.
    """
    own, on = OwnTable(book), studies(book, root)
    return [_row(claim, on, own) for claim in CLAIMS]


def finding(claim: Claim, study: Study, own: OwnTable) -> Finding | None:
    """What one study says of a claim, or None where no profile of it asks for the runs."""
    try:
        results = _with_papers_size(claim.effects(study), _own_effects(claim, own))
        reason = claim.untestable(study) if claim.untestable else ""
    except NotAsked:
        return None
    except NotRecorded as missing:
        return Finding(study.name, MISSING, note=str(missing))
    judged = UNTESTABLE if reason else verdict(results)
    if judged == OPEN:
        single = all(isinstance(result, Effect) and result.n == 1 for result in results)
        reason = "one seed has no spread" if single else "the seeds differ by more than the effect"
    return Finding(study.name, judged, results, _trend(claim, study), reason)


def _row(claim: Claim, on: Sequence[Study], own: OwnTable) -> Row:
    if claim.identity:
        results = claim.effects(None)
        return Row(claim, [Finding(EVERYWHERE, verdict(results), results)])
    found = [finding(claim, study, own) for study in on]
    table = {effect.what: dict(zip(paper.DATA_SETS, effect.values, strict=True)) for effect in _own_effects(claim, own)}
    return Row(claim, [one for one in found if one is not None], table)


def _own_effects(claim: Claim, own: OwnTable) -> list[Effect]:
    """The same effects in the paper's Table 1, one number a data set; none where the table lacks the columns."""
    try:
        return [effect for effect in claim.effects(own) if isinstance(effect, Effect)]
    except NotAsked:
        return []


def _with_papers_size(results: list[Effect | Fact], own: list[Effect]) -> list[Effect | Fact]:
    """Give each effect its size in Table 1 for CIFAR-10, if the table has it and it is above 0 there."""
    sizes = {effect.what: effect.values[paper.DATA_SETS.index("CIFAR10")] for effect in own}
    return [
        replace(result, paper=sizes[result.what]) if sizes.get(result.what, 0) > 0 else result for result in results
    ]


def _trend(claim: Claim, study: Study) -> float | None:
    if claim.trend is None:
        return None
    rows = claim.trend(study)
    return trend_p(rows) if len(rows) > 1 and rows.shape[1] > 2 else None
