"""G1 to G11: what the paper leaves open or says in two ways, each with the numbers that show it."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .. import paper
from . import gaps_in_records as records
from . import gaps_in_table as table
from .gaps_in_table import Numbers
from .study import NotAsked, NotRecorded, Study


@dataclass(frozen=True)
class Gap:
    """A point that the paper leaves open. missing: which commands make the numbers that are not there."""

    name: str
    says: str
    chapter: int
    numbers: Numbers = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def gaps(on: Sequence[Study], book: Path | None = None) -> list[Gap]:
    """G1 to G11 with their numbers, from Table 1 and from the records of the studies."""
    models = paper.table1(book)
    return [_gap(name, *rest, models=models, on=on) for name, rest in OPEN.items()]


def _gap(
    name: str,
    says: str,
    chapter: int,
    own: Callable,
    *recorded: Callable,
    models: list[paper.Model],
    on: Sequence[Study],
) -> Gap:
    numbers, missing = own(models), []
    for study, part in itertools.product(on, recorded):
        try:
            numbers |= {f"{study.name}: {what}": value for what, value in part(study).items()}
        except NotAsked:
            pass
        except NotRecorded as absent:
            missing.append(str(absent))
    return Gap(name, says, chapter, numbers, tuple(missing))


def no_numbers(_: object) -> Numbers:
    """Where only the records have numbers."""
    return {}


# Name: what it says, its chapter, its numbers by the paper, and by the records, in one part or several.
OPEN: dict[str, tuple] = {
    "G1": ("The formula of tolerance cannot give the numbers of the table.", 7, table.above_the_printed_bound),
    "G2": ("Tolerance needs labels, and full collapse has most of it.", 7, table.collapse, records.most_tolerant),
    "G3": ("Uniformity and tolerance do not explain accuracy.", 8, table.correlations, records.our_correlations),
    "G4": (
        "The hard loss' tolerance barely rises with tau, against the text.",
        8,
        table.hard_tolerance,
        records.our_hard_tolerance,
    ),
    "G5": ("The sphere does not force the dilemma; the objective does.", 7, table.room, records.our_room),
    "G6": (
        "Uniformity saturates: differences near the ceiling say little.",
        8,
        table.near_the_ceiling,
        records.our_largest_uniformity,
    ),
    "G7": ("Which features the measures use is not said.", 7, no_numbers, records.two_feature_spaces),
    "G8": ("Temperature and learning rate are changed together.", 7, no_numbers, records.rate_in_proportion),
    "G9": ("The place of the peak moves.", 7, table.peaks, records.our_peaks),
    "G10": (
        "The share of hard negatives and their number disagree.",
        8,
        table.kept_negatives,
        records.by_share("hard_simple"),
        records.by_share("hard_contrastive", 0.3),
    ),
    "G11": (
        "No seeds, no error bars; and r does not show the gradient's size.",
        7,
        table.slow_limit,
        records.spread_over_seeds,
    ),
}
