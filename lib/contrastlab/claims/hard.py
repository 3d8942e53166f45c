"""C11 to C13 and C15: the simple loss, and the hardest negatives only."""

import numpy as np

from .effects import Effect, alike
from .study import Column, Measured, NotAsked
from .temperature import columns, warm

SIMPLE, HARD_SIMPLE = Column("simple"), Column("hard_simple")


def simple_is_worse(study: Measured) -> list[Effect]:
    """C11: the simple loss is far below the contrastive loss, and its embedding uses fewer dimensions."""
    effects = [Effect("contrastive above simple, linear accuracy", tuple(_above_simple(study, "linear_accuracy")))]
    try:
        return [
            *effects,
            Effect("contrastive above simple, effective rank", tuple(_above_simple(study, "effective_rank"))),
        ]
    except NotAsked:  # Table 1 has no ranks
        return effects


def hard_simple_restores(study: Measured) -> list[Effect]:
    """C12: the simple loss over the hardest negatives regains what the simple loss loses: more than half of it."""
    rows = study.table("linear_accuracy", [*warm(study), SIMPLE, HARD_SIMPLE])
    best, simple, hard_simple = study.best(rows[:, :-2]), rows[:, -2], rows[:, -1]
    effects = [
        Effect("hard simple above simple, linear accuracy", tuple(hard_simple - simple)),
        Effect("hard simple above halfway from simple to contrastive", tuple(hard_simple - (simple + best) / 2)),
    ]
    try:
        rank = study.table("effective_rank", [SIMPLE, HARD_SIMPLE])
        return [*effects, Effect("hard simple above simple, effective rank", tuple(rank[:, 1] - rank[:, 0]))]
    except NotAsked:
        return effects


def hard_is_flat_and_even(study: Measured) -> list[Effect]:
    """C13: the hard loss is more uniform, its uniformity depends less on tau, and it likes larger tau."""
    taus, soft, hard = both(study, "uniformity")
    _, accuracy_soft, accuracy_hard = both(study, "linear_accuracy")
    return [
        *alike([f"hard more uniform at {tau:g}" for tau in taus], hard - soft),
        Effect("uniformity spreads less over tau", tuple(np.ptp(soft, axis=1) - np.ptp(hard, axis=1))),
        Effect(
            f"hard gains more accuracy from {taus[0]:g} to {taus[-1]:g}",
            tuple((accuracy_hard[:, -1] - accuracy_hard[:, 0]) - (accuracy_soft[:, -1] - accuracy_soft[:, 0])),
        ),
    ]


def hard_eases_the_dilemma(study: Measured) -> list[Effect]:
    """C15: with hard negatives the best accuracy is higher. Both losses choose among the same temperatures."""
    taus = shared_taus(study)
    soft, hard = columns("contrastive", taus), [*columns("hard_contrastive", taus), HARD_SIMPLE]
    rows = study.table("linear_accuracy", [*soft, *hard])
    better = study.best(rows[:, len(soft) :]) - study.best(rows[:, : len(soft)])
    return [Effect("best with hard negatives above best without", tuple(better))]


def both(study: Measured, metric: str) -> tuple[list[float], np.ndarray, np.ndarray]:
    """A metric of the ordinary and of the hard loss: temperatures, and two arrays (seeds, T) of the same seeds."""
    taus = shared_taus(study)
    rows = study.table(metric, [*columns("contrastive", taus), *columns("hard_contrastive", taus)])
    return taus, rows[:, : len(taus)], rows[:, len(taus) :]


def shared_taus(study: Measured) -> list[float]:
    """The temperatures that the ordinary and the hard loss share. Raises NotAsked for fewer than two."""
    taus = sorted(set(study.taus()) & set(study.taus("hard_contrastive")))
    if len(taus) < 2:
        raise NotAsked("the ordinary and the hard loss share no two temperatures")
    return taus


def _above_simple(study: Measured, metric: str) -> np.ndarray:
    rows = study.table(metric, [*warm(study), SIMPLE])
    return study.best(rows[:, :-1]) - rows[:, -1]
