"""The numbers of G1 to G11 that the paper's own Table 1, its text or arithmetic give."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from scipy import stats

from .. import geometry, paper

Numbers = dict[str, float | str]


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


def correlations(models: list[paper.Model]) -> Numbers:
    """G3: rank correlation of accuracy with uniformity and with tolerance, over the ten models of a data set."""
    numbers: Numbers = {}
    for data in paper.DATA_SETS:
        rows = [model for model in models if model.data == data]
        for measure in ("uniformity", "tolerance"):
            value = rank_correlation([m.accuracy for m in rows], [getattr(m, measure) for m in rows])
            numbers[f"{data}: accuracy and {measure}"] = value
    return numbers


def hard_tolerance(models: list[paper.Model]) -> Numbers:
    """G4: by how much the tolerance of the hard loss rises from the lowest to the highest temperature."""
    by_key = {(m.data, m.tau): m.tolerance for m in models if m.loss == "hard_contrastive"}
    taus = sorted({tau for _, tau in by_key})
    return {
        f"{data}: rise of the hard loss' tolerance": by_key[data, taus[-1]] - by_key[data, taus[0]]
        for data in paper.DATA_SETS
    }


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


def peaks(models: list[paper.Model]) -> Numbers:
    """G9: where the accuracy of the ordinary loss is best, of the temperatures in the table."""
    soft = [model for model in models if model.loss == "contrastive"]
    return {
        f"{data}: best tau": max((m for m in soft if m.data == data), key=lambda m: m.accuracy).tau
        for data in paper.DATA_SETS
    }


def kept_negatives(_: list[paper.Model]) -> Numbers:
    """G10: alpha times the training images, where the text says 4095."""
    return {"CIFAR: 0.0819 of 50,000": round(0.0819 * 50_000), "SVHN: 0.0315 of 73,257": round(0.0315 * 73_257)}


def slow_limit(models: list[paper.Model]) -> Numbers:
    """G11: tau = 1 is far from the simple loss; and by how much the best model of each data set leads."""
    key = {(m.loss, m.tau): m for m in models if m.data == "CIFAR10"}
    ranked = {data: sorted(m.accuracy for m in models if m.data == data) for data in paper.DATA_SETS}
    return {
        "CIFAR10: uniformity at tau 1": key["contrastive", 1.0].uniformity,
        "CIFAR10: of the simple loss": key["simple", None].uniformity,
        **{f"{data}: lead of the best model, points": accuracy[-1] - accuracy[-2] for data, accuracy in ranked.items()},
    }


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation."""
    return float(stats.spearmanr(x, y).statistic)
