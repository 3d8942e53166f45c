"""C5 to C10 and C14: what changes with the temperature. Each check turns a study into effects, one number a seed."""

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from .. import hardness
from .effects import Effect, Fact, alike
from .study import Column, Measured, NotAsked, Study

PAPERS_BEST = (0.2, 0.3)
COLDEST = 0.02  # of C14
UNTRAINED = Column("triplet", None, {"lr": 0.0, "epochs": 1})
TRIPLETS = (Column("triplet"), Column("triplet", None, {"lr": 0.6}))


def warm(study: Measured, loss: str = "contrastive") -> list[Column]:
    """The columns of a loss at the temperatures that the study steps through."""
    return columns(loss, study.taus(loss))


def columns(loss: str, taus: Sequence[float]) -> list[Column]:
    """One column a temperature."""
    return [Column(loss, tau) for tau in taus]


def uniformity_falls(study: Measured) -> list[Effect]:
    """C6: -L_unif falls with every step of tau."""
    return _steps(study, "uniformity falls", -study.table("uniformity", warm(study)))


def tolerance_rises(study: Measured) -> list[Effect]:
    """C7: tolerance rises with every step of tau."""
    return _steps(study, "tolerance rises", study.table("tolerance", warm(study)))


def gap_of_positives(study: Measured) -> np.ndarray:
    """Similarity of the positives minus that of the ten nearest negatives (Fig. 8): (seeds, temperatures)."""
    return study.table("positive_similarity", warm(study)) - study.table("nearest_negatives", warm(study))


def gap_falls(study: Measured) -> list[Effect]:
    """C8: the gap between positives and nearest negatives falls with every step of tau."""
    return _steps(study, "gap falls", -gap_of_positives(study))


def no_gap(study: Measured) -> str:
    """Why C8 cannot be tested, or nothing: it speaks of positives that are nearer than the nearest negatives."""
    if gap_of_positives(study).mean(axis=0).max() > 0:
        return ""
    return "at every temperature the ten nearest other images are nearer than the image's own second view"


def positives_rise(study: Measured) -> list[Effect]:
    """C9: the mean similarity of positives rises with every step of tau."""
    return _steps(study, "positives come closer", study.table("positive_similarity", warm(study)))


def accuracy_peaks_inside(study: Measured) -> list[Effect]:
    """C10: linear accuracy is a reverse U in tau, best at 0.2 or 0.3."""
    taus = study.all_taus()
    if len(taus) < 3:
        raise NotAsked("a peak needs three temperatures")
    rows = study.table("linear_accuracy", columns("contrastive", taus))
    inside = study.best(rows[:, 1:-1])
    effects = [
        Effect("best between the ends above the coldest", tuple(inside - rows[:, 0])),
        Effect("best between the ends above the warmest", tuple(inside - rows[:, -1])),
    ]
    chosen = np.isin(taus, PAPERS_BEST)
    if chosen.any():
        beyond = study.best(rows[:, chosen]) - study.best(rows[:, ~chosen])
        effects.append(Effect("0.2 or 0.3 above all others", tuple(beyond)))
    return effects


def triplet_learns_nothing(study: Study) -> list[Effect]:
    """C5: Eq. 6 as objective learns nothing: its features gain less than a quarter of what the contrastive loss gains
    over no training, and its embedding ends less uniform than it began.

    The better of two learning rates counts, and the contrastive loss at the better of its temperatures.
    """
    gain, triplet = _gains(study)
    evenness = study.table("uniformity", [*TRIPLETS, UNTRAINED])
    return [
        Effect("a quarter of the contrastive gain above the gain of Eq. 6, accuracy", tuple(gain / 4 - triplet)),
        Effect("uniformity lost by Eq. 6", tuple(evenness[:, -1] - evenness[:, :-1].max(axis=1))),
    ]


def no_gain(study: Study) -> str:
    """Why C5 cannot be tested, or nothing: beside a contrastive loss that learns nothing, Eq. 6 could not stand out."""
    if Effect("", tuple(_gains(study)[0])).status == "shown":
        return ""
    return "the contrastive loss itself gains nothing over an encoder without training"


def _gains(study: Study) -> tuple[np.ndarray, np.ndarray]:
    """Linear accuracy over no training, a seed each: of the contrastive loss, and of Eq. 6."""
    soft = warm(study)
    rows = study.table("linear_accuracy", [*soft, *TRIPLETS, UNTRAINED])
    contrastive, triplet = rows[:, : len(soft)], rows[:, len(soft) : -1]
    return study.best(contrastive) - rows[:, -1], triplet.max(axis=1) - rows[:, -1]


def coldest_hurts(study: Study) -> list[Effect | Fact]:
    """C14: an encoder trained at a very small tau looks at one or two samples, and accuracy suffers.

    That one negative takes all in the limit is mathematics and belongs to C3: it could not fail here.
    """
    taus = [tau for tau in study.all_taus() if tau > COLDEST]
    rows = study.table("linear_accuracy", columns("contrastive", [*taus, COLDEST]))
    return [
        Fact(
            f"trained at {COLDEST}, half of the test images have at most two effective negatives",
            effective_negatives(study, COLDEST) <= 2,
        ),
        Effect(f"best temperature above {COLDEST}", tuple(study.best(rows[:, :-1]) - rows[:, -1])),
    ]


def effective_negatives(study: Study, tau: float, at: float | None = None) -> float:
    """exp H(r) of the median test image against all others, for the encoder trained at tau.

    at: the temperature of r, by default the same.
    """
    z, _ = study.embeddings(Column("contrastive", tau))
    s = (z @ z.T).double()
    others = s[~torch.eye(len(z), dtype=torch.bool)].reshape(len(z), -1)  # (n, n - 1)
    return hardness.effective_negatives(others, at or tau).median().item()


def _steps(study: Measured, what: str, rising: np.ndarray) -> list[Effect]:
    if len(study.taus()) < 2:
        raise NotAsked("a step needs two temperatures")
    return alike([f"{what}, {a:g} to {b:g}" for a, b in itertools.pairwise(study.taus())], np.diff(rising, axis=1))
