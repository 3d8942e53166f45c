"""G1 to G11: what the paper leaves open or says in two ways, each with the numbers that show it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from .. import geometry, paper
from .study import Column, NotAsked, NotRecorded, Study
from .temperature import columns, warm

Numbers = dict[str, float | str]
ONE_RATE_AT = 0.2  # the temperature at which the learning rate in proportion to tau is the usual one


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
    return [_gap(name, *rest, models, on) for name, rest in OPEN.items()]


def _gap(
    name: str,
    says: str,
    chapter: int,
    own: Callable,
    recorded: Callable,
    models: list[paper.Model],
    on: Sequence[Study],
) -> Gap:
    numbers, missing = own(models), []
    for study in on:
        try:
            numbers |= {f"{study.name}: {what}": value for what, value in recorded(study).items()}
        except NotAsked:
            pass
        except NotRecorded as absent:
            missing.append(str(absent))
    return Gap(name, says, chapter, numbers, tuple(missing))


def no_numbers(_: object) -> Numbers:
    """Where only the other side has numbers."""
    return {}


def above_the_printed_bound(models: list[paper.Model]) -> Numbers:
    """G1: Eq. 11 as printed cannot exceed 1 / C for C balanced classes."""
    above = sum(model.tolerance > 1 / paper.CLASSES[model.data] for model in models)
    ten = max(model.tolerance for model in models if model.data == "CIFAR10")
    return {
        "largest tolerance on CIFAR10": ten,
        "bound of the printed formula": 0.1,
        f"models of {len(models)} above their bound": above,
    }


def collapse(_: list[paper.Model]) -> Numbers:
    """G2: all images on one point have the best tolerance, and no class gap."""
    z, labels = torch.ones(20, 8), torch.arange(20) % 2
    return {"tolerance of one point": geometry.tolerance(z, labels), "its class gap": geometry.class_gap(z, labels)}


def most_tolerant(study: Study) -> Numbers:
    """G2: the recorded loss with the highest tolerance, and its place by accuracy."""
    names, table = _means(study)
    first = int(table["tolerance"].argmax())
    place = int((table["linear_accuracy"] > table["linear_accuracy"][first]).sum()) + 1
    return {"most tolerant": names[first], f"its place by accuracy, of {len(names)}": place}


def correlations(models: list[paper.Model]) -> Numbers:
    """G3: rank correlation of accuracy with uniformity and with tolerance, over the ten models of a data set."""
    numbers: Numbers = {}
    for data in paper.DATA_SETS:
        rows = [model for model in models if model.data == data]
        for measure in ("uniformity", "tolerance"):
            value = _rank_correlation([m.accuracy for m in rows], [getattr(m, measure) for m in rows])
            numbers[f"{data}: accuracy and {measure}"] = value
    return numbers


def our_correlations(study: Study) -> Numbers:
    """G3 over the means of the recorded losses."""
    _, table = _means(study)
    return {
        f"accuracy and {measure}": _rank_correlation(table["linear_accuracy"], table[measure])
        for measure in ("uniformity", "tolerance", "class_gap")
    }


def hard_tolerance(models: list[paper.Model]) -> Numbers:
    """G4: by how much the tolerance of the hard loss rises from the lowest to the highest temperature."""
    by_key = {(m.data, m.tau): m.tolerance for m in models if m.loss == "hard_contrastive"}
    taus = sorted({tau for _, tau in by_key})
    return {
        f"{data}: rise of the hard loss' tolerance": by_key[data, taus[-1]] - by_key[data, taus[0]]
        for data in paper.DATA_SETS
    }


def our_hard_tolerance(study: Study) -> Numbers:
    """G4 in the records: means over seeds."""
    taus = study.taus("hard_contrastive")
    if len(taus) < 2:
        return {}
    rows = study.table("tolerance", columns("hard_contrastive", [taus[0], taus[-1]]))
    return {"rise of the hard loss' tolerance": float((rows[:, 1] - rows[:, 0]).mean())}


def most_uniform(classes: int, tolerance: float) -> float:
    """No embedding of that tolerance is more uniform (t = 2, balanced classes, many images): Jensen's bound."""
    same, different = math.exp(-4 * (1 - tolerance)), math.exp(-4 * (1 + tolerance / (classes - 1)))
    return -math.log(same / classes + (1 - 1 / classes) * different)


def room(models: list[paper.Model]) -> Numbers:
    """G5: classes collapsed to a simplex are fully tolerant, and still uniform."""
    below = sum(model.uniformity < most_uniform(paper.CLASSES[model.data], model.tolerance) for model in models)
    return {
        "uniformity at tolerance 1, ten classes": most_uniform(10, 1.0),
        "uniformity at tolerance 1, a hundred classes": most_uniform(100, 1.0),
        f"models of {len(models)} below the bound": below,
    }


def near_the_ceiling(models: list[paper.Model]) -> Numbers:
    """G6: uniformity saturates."""
    ceiling = geometry.uniformity_ceiling(128)
    near = [model for model in models if ceiling - model.uniformity < 0.1]
    accuracy = [model.accuracy for model in near if model.data == "CIFAR10"]
    return {
        "ceiling in 128 dimensions": ceiling,
        f"models of {len(models)} within 0.1 of it": len(near),
        "spread of their accuracy on CIFAR10": float(np.ptp(accuracy)),
    }


def our_largest_uniformity(study: Study) -> Numbers:
    """G6 in the records."""
    return {"largest mean uniformity": float(_means(study)[1]["uniformity"].max())}


def two_feature_spaces(study: Study) -> Numbers:
    """G7: z and the features before it, from the temperature where z is most uniform to the warmest."""
    of_z, of_features = (study.table(f"uniformity{of}", warm(study)).mean(axis=0) for of in ("", "_features"))
    peak, taus = int(of_z.argmax()), study.taus()
    name = f"from tau {taus[peak]:g} to {taus[-1]:g}"
    return {
        f"uniformity of z, {name}": float(of_z[-1] - of_z[peak]),
        f"of the features, {name}": float(of_features[-1] - of_features[peak]),
    }


def rate_in_proportion(study: Study) -> Numbers:
    """G8: the pull differs over tau, and so does the best temperature if the learning rate follows tau."""
    taus = [tau for tau in study.all_taus() if study.asks(_proportional(study, tau))]
    if taus in ([], [ONE_RATE_AT]):
        return {}
    usual = study.table("linear_accuracy", columns("contrastive", taus)).mean(axis=0)
    followed = study.table("linear_accuracy", [_proportional(study, tau) for tau in taus]).mean(axis=0)
    pull = study.table("gradient_magnitude", columns("contrastive", taus)).mean(axis=0)
    return {
        f"pull at tau {taus[0]:g}": float(pull[0]),
        f"pull at tau {taus[-1]:g}": float(pull[-1]),
        "best of these tau at one rate": taus[int(usual.argmax())],
        "best of these tau at a rate in proportion": taus[int(followed.argmax())],
        "accuracy lost from the best to the warmest tau, one rate": float(usual.max() - usual[-1]),
        "the same, rate in proportion": float(followed.max() - followed[-1]),
    }


def peaks(models: list[paper.Model]) -> Numbers:
    """G9: where the accuracy of the ordinary loss is best, of the temperatures in the table."""
    soft = [model for model in models if model.loss == "contrastive"]
    return {
        f"{data}: best tau": max((m for m in soft if m.data == data), key=lambda m: m.accuracy).tau
        for data in paper.DATA_SETS
    }


def our_peaks(study: Study) -> Numbers:
    """G9 in the records, by both classifiers."""
    taus = study.all_taus()
    best = {
        name: taus[int(study.table(metric, columns("contrastive", taus)).mean(axis=0).argmax())]
        for name, metric in (("linear", "linear_accuracy"), ("nearest neighbours", "knn_accuracy"))
    }
    return {f"best tau, {name}": tau for name, tau in best.items()}


def kept_negatives(_: list[paper.Model]) -> Numbers:
    """G10: alpha times the training images, where the text says 4095."""
    return {"CIFAR: 0.0819 of 50,000": round(0.0819 * 50_000), "SVHN: 0.0315 of 73,257": round(0.0315 * 73_257)}


def spread_over_seeds(study: Study) -> Numbers:
    """G11: how far apart two seeds of one training lie in accuracy."""
    rows = study.table("linear_accuracy", warm(study))
    first, second = np.triu_indices(len(rows), k=1)
    if not len(first):
        return {}
    differences = np.abs(rows[first] - rows[second])
    return {"mean difference of two seeds, points": float(differences.mean())}


def slow_limit(models: list[paper.Model]) -> Numbers:
    """G11: tau = 1 is far from the simple loss; and by how much the best model of each data set leads."""
    key = {(m.loss, m.tau): m for m in models if m.data == "CIFAR10"}
    ranked = {data: sorted(m.accuracy for m in models if m.data == data) for data in paper.DATA_SETS}
    return {
        "CIFAR10: uniformity at tau 1": key["contrastive", 1.0].uniformity,
        "CIFAR10: of the simple loss": key["simple", None].uniformity,
        **{f"{data}: lead of the best model, points": accuracy[-1] - accuracy[-2] for data, accuracy in ranked.items()},
    }


OPEN: dict[str, tuple] = {
    "G1": ("The formula of tolerance cannot give the numbers of the table.", 7, above_the_printed_bound, no_numbers),
    "G2": ("Tolerance needs labels, and full collapse has most of it.", 7, collapse, most_tolerant),
    "G3": ("Uniformity and tolerance do not explain accuracy.", 8, correlations, our_correlations),
    "G4": ("The hard loss' tolerance barely rises with tau, against the text.", 8, hard_tolerance, our_hard_tolerance),
    "G5": ("The sphere does not force the dilemma; the objective does.", 7, room, no_numbers),
    "G6": (
        "Uniformity saturates: differences near the ceiling say little.",
        8,
        near_the_ceiling,
        our_largest_uniformity,
    ),
    "G7": ("Which features the measures use is not said.", 7, no_numbers, two_feature_spaces),
    "G8": ("Temperature and learning rate are changed together.", 7, no_numbers, rate_in_proportion),
    "G9": ("The place of the peak moves.", 7, peaks, our_peaks),
    "G10": ("The share of hard negatives and their number disagree.", 8, kept_negatives, no_numbers),
    "G11": ("No seeds, no error bars; and r does not show the gradient's size.", 7, slow_limit, spread_over_seeds),
}


def _means(study: Study) -> tuple[list[str], dict[str, np.ndarray]]:
    """The columns of Table 1 that the first profile has, and the mean of each metric over seeds."""
    kinds = ("contrastive", "simple", "hard_contrastive", "hard_simple")
    chosen = [column for kind in kinds for column in columns(kind, study.taus(kind) or [None])]
    metrics = ("linear_accuracy", "uniformity", "tolerance", "class_gap")
    names = [" ".join([c.loss.replace("_", " "), *([f"{c.tau:g}"] if c.tau is not None else [])]) for c in chosen]
    return names, {metric: study.table(metric, chosen).mean(axis=0) for metric in metrics}


def _rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    return float(stats.spearmanr(x, y).statistic)


def _proportional(study: Study, tau: float) -> Column:
    if tau == ONE_RATE_AT:
        return Column("contrastive", tau)
    return Column("contrastive", tau, {"lr": round(study.usual_rate * tau / ONE_RATE_AT, 6)})
