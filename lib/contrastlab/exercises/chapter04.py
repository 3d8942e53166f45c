"""Checks of chapter 4, What temperature does."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..hardness import penalty_entropy_slope, relative_penalty
from .checking import check_function, check_number

# B differs from K, so that a mean that lost its dimension fails aloud; no tau is 1, where all powers of tau agree.
_CASES = (
    (torch.tensor([[0.9, 0.8, 0.5, -0.3], [0.2, 0.1, -0.6, 0.6]], dtype=torch.float64), 0.3),
    (torch.tensor([[0.7, 0.4, 0.1]], dtype=torch.float64), 0.15),
)
_GAP, _OTHERS = 0.9 - 0.4, 1000


def check_slope(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Check a function (B, K), tau -> (B,) that computes dH/dtau = Var_r(s) / tau^3."""
    check_function(
        answer,
        correct=penalty_entropy_slope,
        cases=_CASES,
        misconceptions=SLOPE_MISCONCEPTIONS,
        right="A variance is never negative, so the entropy cannot fall as tau rises.",
    )


def check_half_push(answer: float | None) -> None:
    """Check the temperature at which one negative, 0.5 nearer than a thousand others, takes half of the push."""
    check_number(
        answer,
        correct=_GAP / math.log(_OTHERS),
        misconceptions=HALF_PUSH_MISCONCEPTIONS,
        right="Gap over log of the count: near tau = 0.07, one image 0.5 nearer weighs as much as a thousand.",
    )


def _variance(s_neg: Tensor, r: Tensor) -> Tensor:
    mean = (r * s_neg).sum(dim=1, keepdim=True)
    return (r * (s_neg - mean) ** 2).sum(dim=1)


def _weighted(s_neg: Tensor, tau: float) -> Tensor:
    return _variance(s_neg, relative_penalty(s_neg, tau))


def _second_moment(s_neg: Tensor, tau: float) -> Tensor:
    return (relative_penalty(s_neg, tau) * s_neg**2).sum(dim=1) / tau**3


def _about_plain_mean(s_neg: Tensor, tau: float) -> Tensor:
    r = relative_penalty(s_neg, tau)
    return (r * (s_neg - s_neg.mean(dim=1, keepdim=True)) ** 2).sum(dim=1) / tau**3


_UNWEIGHTED = (
    "You used the plain variance, in which all negatives weigh the same. Var_r weighs each negative by its share r, "
    "in the mean and in the sum."
)

SLOPE_MISCONCEPTIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "You divided by tau^2. Two factors come together: beta = 1/tau in dH/dbeta and 1/tau^2 from d beta/d tau.": (
        lambda s, tau: _weighted(s, tau) / tau**2
    ),
    "You divided by tau: that is the size of dH/dbeta. To get to tau, multiply by d beta/d tau = -1/tau^2.": (
        lambda s, tau: _weighted(s, tau) / tau
    ),
    "This is dH/dbeta. The question is about tau: multiply by d beta/d tau = -1/tau^2.": (
        lambda s, tau: -_weighted(s, tau) / tau
    ),
    "The sign is wrong: dH/dbeta is negative, but beta falls as tau rises, and the two signs cancel.": (
        lambda s, tau: -_weighted(s, tau) / tau**3
    ),
    "This is the variance alone. Divide it by tau^3.": _weighted,
    _UNWEIGHTED: lambda s, tau: s.var(dim=1, correction=0) / tau**3,
    _UNWEIGHTED + " (And torch.var divides by K - 1.)": lambda s, tau: s.var(dim=1) / tau**3,
    "You summed r s^2 and did not subtract the mean: that is the second moment, not the variance.": _second_moment,
    "The mean inside the variance is weighted too: sum r s, not s.mean().": _about_plain_mean,
    "Your r is the softmax of s. It is the softmax of s / tau.": (
        lambda s, tau: _variance(s, relative_penalty(s, 1.0)) / tau**3
    ),
    "You took the standard deviation. The slope holds its square, the variance.": (
        lambda s, tau: _weighted(s, tau).sqrt() / tau**3
    ),
    "Your entropy is in bits. With the natural logarithm there is no log 2 in the slope.": (
        lambda s, tau: _weighted(s, tau) / tau**3 / math.log(2)
    ),
}

HALF_PUSH_MISCONCEPTIONS: dict[str, float] = {
    "At this tau the one takes twice the share of each other negative, but there are a thousand of them.": (
        _GAP / math.log(2)
    ),
    "You used the similarity 0.9. Only the gap to the others counts, and they stand at 0.4, not at 0.": (
        0.9 / math.log(_OTHERS)
    ),
    "You used the logarithm to base 10. The weights are powers of e: take the natural one.": _GAP / math.log10(_OTHERS),
    "You used the logarithm to base 2. The weights are powers of e: take the natural one.": _GAP / math.log2(_OTHERS),
    "This is beta = 1/tau. Turn it over.": math.log(_OTHERS) / _GAP,
    "You multiplied gap and logarithm. From 0.5 / tau = log 1000, tau is the gap divided by the logarithm.": (
        _GAP * math.log(_OTHERS)
    ),
    "You divided the gap by the count. Weights grow with e^(s / tau), so the logarithm of the count is what matters.": (
        _GAP / _OTHERS
    ),
}
