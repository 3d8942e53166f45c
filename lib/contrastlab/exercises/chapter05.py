"""Checks of chapter 5, A world of points."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .checking import check_function, check_number


def _cloud(n: int, d: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator, dtype=torch.float64) + 0.4, dim=1)  # its mean is not 0


_CASES = ((_cloud(5, 3, 0),), (_cloud(9, 4, 1),))


def check_simple(answer: Callable[[Tensor], Tensor]) -> None:
    """Check a function z (n, d) -> (): the mean simple loss of perfectly aligned points, from their mean vector."""
    check_function(
        answer,
        correct=_simple,
        cases=_CASES,
        misconceptions=SIMPLE_MISCONCEPTIONS,
        right="Two clouds with means of equal length are one and the same to the simple loss.",
    )


def check_variance(answer: float | None) -> None:
    """Check the variance of the similarities in three equal bunches, a third of the circle apart."""
    check_number(
        answer,
        correct=1 / 2,
        misconceptions=VARIANCE_MISCONCEPTIONS,
        right="The even circle has the same mean and the same variance: the variance term cannot tell the two apart.",
    )


def _squared(z: Tensor) -> Tensor:
    """n |m|^2."""
    return len(z) * (z.mean(dim=0) ** 2).sum()


def _simple(z: Tensor) -> Tensor:
    return -1 + (_squared(z) - 1) / (len(z) - 1)


def _length_not_squared(z: Tensor) -> Tensor:
    n = len(z)
    return -1 + (n * z.mean(dim=0).norm() - 1) / (n - 1)


SIMPLE_MISCONCEPTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "This is |m|^2 - 1, which counts every point among its own negatives. Take the n pairs with itself off.": (
        lambda z: _squared(z) / len(z) - 1
    ),
    "You divide by the n - 1 others, but the pair of a point with itself is still in the sum: subtract 1 above.": (
        lambda z: -1 + _squared(z) / (len(z) - 1)
    ),
    "You took the pairs with itself off the sum, but still divide by n. Each point has n - 1 negatives.": (
        lambda z: -1 + (_squared(z) - 1) / len(z)
    ),
    "The positive is missing: with perfect alignment its term is -1.": lambda z: _simple(z) + 1,
    "The positive has the wrong sign: a high s_pos lowers the loss.": lambda z: _simple(z) + 2,
    "You added the losses of all points. The mean is asked for.": lambda z: len(z) * _simple(z),
    "Every sign is turned: the positive lowers the loss, the negatives raise it.": lambda z: -_simple(z),
    "You used |m|. The sum over all pairs is n^2 times its square.": _length_not_squared,
    "You used |m|^2 where n |m|^2 belongs: the sum of the points is n times their mean.": (
        lambda z: -1 + (_squared(z) / len(z) - 1) / (len(z) - 1)
    ),
    "You averaged over the dimensions. The squares of m's entries are summed.": (
        lambda z: -1 + (_squared(z) / z.shape[1] - 1) / (len(z) - 1)
    ),
}

VARIANCE_MISCONCEPTIONS: dict[str, float] = {
    "You left the anchor's own bunch out. A third of the others stands at similarity 1.": 0.0,
    "You weighed 1 and -1/2 alike. Two thirds of the points are at -1/2, one third at 1.": 9 / 16,
    "This is the mean of s^2 with equal weights. Two thirds of the points are at -1/2, one third at 1.": 5 / 8,
    "You took the cosine of 60 degrees. The bunches are 120 degrees apart.": 1 / 18,
    "This is the standard deviation. The variance is its square.": math.sqrt(1 / 2),
    "The anchor's own bunch is in, the two others are not: they add 2/3 times (-1/2)^2.": 1 / 3,
    "The two other bunches are in, the anchor's own is not: it adds 1/3 times 1^2.": 1 / 6,
    "You did not square: this is the mean of |s|, about a mean of 0.": 2 / 3,
}
