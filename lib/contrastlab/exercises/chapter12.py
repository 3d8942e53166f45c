"""Checks of the exercises of chapter 12, "The reproduction report"."""

from collections.abc import Callable

import torch
from scipy import stats
from torch import Tensor

from .checking import check_function, check_number


def check_seeds(answer: float | None) -> None:
    """Check how many agreeing seeds a one-sided sign test needs for p < 0.05."""
    check_number(
        answer,
        correct=5,
        misconceptions=SEEDS_MISCONCEPTIONS,
        right="Five: 1/32 is about 0.03. With three seeds no sign test can reach 0.05, whatever the effect.",
    )


def check_lower_end(answer: Callable[[Tensor], Tensor]) -> None:
    """Check a learner's lower end of the 95 % interval of a mean: (values (n,)) -> a tensor of shape ()."""
    check_function(
        answer,
        correct=_lower_end,
        cases=[(_draw(n, 1, seed)[:, 0],) for n, seed in ((3, 0), (4, 1), (6, 2))],
        misconceptions=LOWER_END_MISCONCEPTIONS,
        right="Where it is above 0, the ledger calls the effect shown.",
    )


def check_best(answer: Callable[[Tensor], Tensor]) -> None:
    """Check a learner's best column, chosen by the other seeds: (rows (seeds, T)) -> (seeds,)."""
    check_function(
        answer,
        correct=_best,
        cases=[(_draw(n, columns, seed),) for n, columns, seed in ((3, 4, 0), (5, 4, 1), (3, 6, 3), (4, 5, 5))],
        misconceptions=BEST_MISCONCEPTIONS,
        right="No seed has chosen the column that it is judged by.",
    )


def _draw(seeds: int, columns: int, seed: int) -> Tensor:
    return torch.randn(seeds, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1


def _lower_end(values: Tensor, quantile: float = 0.975) -> Tensor:
    n = len(values)
    return values.mean() - stats.t.ppf(quantile, n - 1) * values.std() / n**0.5


def _best(rows: Tensor) -> Tensor:
    return rows.gather(1, (rows.sum(dim=0) - rows).argmax(dim=1, keepdim=True))[:, 0]


SEEDS_MISCONCEPTIONS = {
    "Three seeds that agree have p = 1/8 = 0.125, which is above 0.05.": 3,
    "Four seeds that agree have p = 1/16 = 0.0625, just above 0.05.": 4,
    "That is the two-sided test, which also counts the case that all are below 0. Here the paper names the sign.": 6,
    "That many seeds are needed if 1/n is the chance. All n agree with the chance 2^-n.": 21,
}

LOWER_END_MISCONCEPTIONS = {
    "You left out the square root of n: that is the spread of single seeds. The mean of n varies less.": (
        lambda values: values.mean() - stats.t.ppf(0.975, len(values) - 1) * values.std()
    ),
    "You divided by n, not by its square root.": (
        lambda values: values.mean() - stats.t.ppf(0.975, len(values) - 1) * values.std() / len(values)
    ),
    "You took 1.96, which is right for many seeds. For a handful Student's t is larger.": (
        lambda values: values.mean() - stats.norm.ppf(0.975) * values.std() / len(values) ** 0.5
    ),
    "You took t for n degrees of freedom. One of them went into the mean: use n - 1.": (
        lambda values: values.mean() - stats.t.ppf(0.975, len(values)) * values.std() / len(values) ** 0.5
    ),
    "Your standard deviation divides by n. Divide by n - 1, as `Tensor.std` does by itself.": (
        lambda values: (
            values.mean() - stats.t.ppf(0.975, len(values) - 1) * values.std(correction=0) / len(values) ** 0.5
        )
    ),
    "You took the quantile 0.95. A 95 % interval leaves 2.5 % on either side: 0.975.": (
        lambda values: _lower_end(values, quantile=0.95)
    ),
    "That is the upper end. Subtract.": lambda values: 2 * values.mean() - _lower_end(values),
    "That is the smallest seed. The interval is about the mean.": lambda values: values.min(),
}

BEST_MISCONCEPTIONS = {
    "That is each seed's own maximum. It counts luck as accuracy.": lambda rows: rows.amax(dim=1),
    "You let a seed take part in the choice by which it is judged: its luck is in the mean. Leave its row out.": (
        lambda rows: rows[:, int(rows.mean(dim=0).argmax())]
    ),
    "You returned the others' mean in the best column. Return the seed's own value there.": (
        lambda rows: ((rows.sum(dim=0) - rows) / (len(rows) - 1)).amax(dim=1)
    ),
    "You returned which column, not the value in it.": (
        lambda rows: (rows.sum(dim=0) - rows).argmax(dim=1).to(rows.dtype)
    ),
}
