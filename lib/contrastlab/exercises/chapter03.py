"""Checks of chapter 3, Its gradient is a softmax."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..hardness import probabilities, relative_penalty
from .checking import check_function, check_number

_CASES = (
    (torch.tensor([0.8, -0.2], dtype=torch.float64), torch.tensor([[0.6, 0.0, -0.7], [0.3, 0.1, 0.5]]).double(), 0.4),
    (torch.tensor([0.1], dtype=torch.float64), torch.tensor([[0.9, 0.4]], dtype=torch.float64), 1.6),
)
_TAU = 0.4


def check_gradient(answer: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Check a function s_pos (B,), s_neg (B, K), tau -> (B, 1 + K): Eq. 4, the positive first."""
    check_function(
        answer,
        correct=_gradient,
        cases=_CASES,
        misconceptions=GRADIENT_MISCONCEPTIONS,
        right="Every row sums to 0: the pull on the positive pays for all pushes.",
    )


def check_peak(answer: float | None) -> None:
    """Check the similarity at which e^(s / tau) sqrt(1 - s^2) peaks for tau = 0.4."""
    check_number(
        answer,
        correct=_root(_TAU),
        misconceptions=PEAK_MISCONCEPTIONS,
        right="At this temperature the negative with the largest force stands about 35 degrees away, not at 0 degrees.",
    )


def _gradient(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    P_pos, P_neg = probabilities(s_pos, s_neg, tau)
    return _row(P_pos - 1, P_neg) / tau


def _row(of_positive: Tensor, of_negatives: Tensor) -> Tensor:
    return torch.cat([of_positive[:, None], of_negatives], dim=1)


def _P(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return _row(*probabilities(s_pos, s_neg, tau))


def _times_tau(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return _gradient(s_pos, s_neg, tau) * tau**2


def _positive_missing(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    odds = (s_pos / tau - (s_neg / tau).logsumexp(dim=1)).exp()
    return _row(odds - 1, relative_penalty(s_neg, tau)) / tau


def _r_everywhere(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return _row(-torch.ones_like(s_pos), relative_penalty(s_neg, tau)) / tau


def _r_for_P(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    P_pos, _ = probabilities(s_pos, s_neg, tau)
    return _row(P_pos - 1, relative_penalty(s_neg, tau)) / tau


def _positive_last(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return _gradient(s_pos, s_neg, tau).roll(-1, dims=1)


def _sizes(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return _gradient(s_pos, s_neg, tau).abs()


def _tau_multiplied_inside(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    P_pos, P_neg = probabilities(s_pos, s_neg, 1 / tau)
    return _row(P_pos - 1, P_neg) / tau


GRADIENT_MISCONCEPTIONS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "The factor 1 / tau is missing: the derivative of s / tau with respect to s.": (
        lambda s_pos, s_neg, tau: _gradient(s_pos, s_neg, tau) * tau
    ),
    "You multiplied P by tau. The derivative of s / tau with respect to s is 1 / tau, so divide.": _times_tau,
    "Your softmax multiplies by tau. It is the softmax of s / tau.": _tau_multiplied_inside,
    "The positive is missing from the denominator of your softmax.": _positive_missing,
    "These are the shares r, as if every budget were 1 / tau. Eq. 4 needs P.": _r_everywhere,
    "You used r for the negatives. r is a share of the push; the push itself is P / tau.": (_r_for_P),
    "This is P / tau everywhere. At the positive subtract 1 from P first: -s_pos / tau is also in the loss.": (
        lambda s_pos, s_neg, tau: _P(s_pos, s_neg, tau) / tau
    ),
    "This is P, the probabilities. At the positive subtract 1, then divide by tau.": _P,
    "You forgot the minus at the positive: raising s_pos lowers the loss. Only Eq. 5 takes absolute values.": _sizes,
    "Every sign is turned: this is the direction downhill. The gradient points uphill.": (
        lambda s_pos, s_neg, tau: -_gradient(s_pos, s_neg, tau)
    ),
    "The values are right, but the positive comes last. Put it first.": _positive_last,
    "You divided by the number of anchors. Each anchor has its own loss here, not a share of a mean.": (
        lambda s_pos, s_neg, tau: _gradient(s_pos, s_neg, tau) / len(s_pos)
    ),
}


def _root(tau: float) -> float:
    """The positive root of s^2 + tau s - 1."""
    return (-tau + math.sqrt(tau**2 + 4)) / 2


PEAK_MISCONCEPTIONS: dict[str, float] = {
    "At 1 the share r is largest, but sqrt(1 - s^2) is 0: an exact copy exerts no force.": 1.0,
    "At 0 the factor sqrt(1 - s^2) is largest. The other factor, e^(s / tau), still rises there.": 0.0,
    "That root of the quadratic lies outside [-1, 1]. Take the other one.": -1 / _root(_TAU),
    "No similarity passes 1. Check the sign of tau in s^2 + tau s - 1 = 0.": 1 / _root(_TAU),
    "You multiplied by tau: the slope of s / tau is 1 / tau.": _root(1 / _TAU),
    "The temperature is missing. The slope of s / tau is 1 / tau, not 1.": _root(1.0),
    "The square root is missing: the logarithm of sqrt(1 - s^2) is half the logarithm of 1 - s^2.": _root(2 * _TAU),
}
