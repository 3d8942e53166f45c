"""The numbers of G1 to G11 that recorded runs give, each for one study."""

from collections.abc import Callable

import numpy as np

from .gaps_in_table import Numbers, most_uniform, rank_correlation
from .study import Column, Study
from .temperature import columns, warm

ONE_RATE_AT = 0.2  # the temperature at which the learning rate in proportion to tau is the usual one


def most_tolerant(study: Study) -> Numbers:
    """G2: the recorded loss with the highest tolerance, and its place by accuracy."""
    names, table = _means(study)
    first = int(table["tolerance"].argmax())
    place = int((table["linear_accuracy"] > table["linear_accuracy"][first]).sum()) + 1
    return {"most tolerant": names[first], f"its place by accuracy, of {len(names)}": place}


def our_correlations(study: Study) -> Numbers:
    """G3 over the means of the recorded losses."""
    _, table = _means(study)
    return {
        f"accuracy and {measure}": rank_correlation(table["linear_accuracy"], table[measure])
        for measure in ("uniformity", "tolerance", "class_gap")
    }


def our_hard_tolerance(study: Study) -> Numbers:
    """G4 in the records: means over seeds."""
    taus = study.taus("hard_contrastive")
    if len(taus) < 2:
        return {}
    rows = study.table("tolerance", columns("hard_contrastive", [taus[0], taus[-1]]))
    return {"rise of the hard loss' tolerance": float((rows[:, 1] - rows[:, 0]).mean())}


def our_room(study: Study) -> Numbers:
    """G5 in the records: how many runs, of every loss and setting, stay below the bound of their own tolerance.

    The number of classes is that of the kept embeddings.
    """
    _, labels = study.embeddings(Column("contrastive", study.taus()[0]))
    classes = len(labels.unique())
    runs = study.every_run("uniformity", "tolerance")
    below = sum(bool(uniformity < most_uniform(classes, tolerance)) for uniformity, tolerance in runs)
    return {f"runs of {len(runs)} below the bound": below}


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


def our_peaks(study: Study) -> Numbers:
    """G9 in the records, by both classifiers."""
    taus = study.all_taus()
    best = {
        name: taus[int(study.table(metric, columns("contrastive", taus)).mean(axis=0).argmax())]
        for name, metric in (("linear", "linear_accuracy"), ("nearest neighbours", "knn_accuracy"))
    }
    return {f"best tau, {name}": tau for name, tau in best.items()}


def by_share(loss: str, tau: float | None = None) -> Callable[[Study], Numbers]:
    """G10 in the records: accuracy by the share alpha of hard negatives, means over the seeds that all shares have."""

    def numbers(study: Study) -> Numbers:
        shares = study.shares(loss, tau)
        if len(shares) < 2:
            return {}
        rows = study.table("linear_accuracy", [Column(loss, tau, {"alpha": alpha}) for alpha in shares])
        name = loss.replace("_", " ") + (f" {tau:g}" if tau is not None else "")
        means = zip(shares, rows.mean(axis=0), strict=True)
        return {f"accuracy of {name}, alpha {alpha:g}": float(mean) for alpha, mean in means}

    return numbers


def spread_over_seeds(study: Study) -> Numbers:
    """G11: how far apart two seeds of one training lie in accuracy."""
    rows = study.table("linear_accuracy", warm(study))
    first, second = np.triu_indices(len(rows), k=1)
    if not len(first):
        return {}
    differences = np.abs(rows[first] - rows[second])
    return {"mean difference of two seeds, points": float(differences.mean())}


def _means(study: Study) -> tuple[list[str], dict[str, np.ndarray]]:
    """The columns of Table 1 that the first profile has, and the mean of each metric over seeds."""
    kinds = ("contrastive", "simple", "hard_contrastive", "hard_simple")
    chosen = [column for kind in kinds for column in columns(kind, study.taus(kind) or [None])]
    metrics = ("linear_accuracy", "uniformity", "tolerance", "class_gap")
    names = [" ".join([c.loss.replace("_", " "), *([f"{c.tau:g}"] if c.tau is not None else [])]) for c in chosen]
    return names, {metric: study.table(metric, chosen).mean(axis=0) for metric in metrics}


def _proportional(study: Study, tau: float) -> Column:
    if tau == ONE_RATE_AT:
        return Column("contrastive", tau)
    return Column("contrastive", tau, {"lr": round(study.usual_rate * tau / ONE_RATE_AT, 6)})
