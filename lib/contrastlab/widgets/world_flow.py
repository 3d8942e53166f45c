"""The world of the third interactive figure: free points on the sphere, in planted classes, under one of the losses.

The flow is that of chapter 5, with the library's losses and autograd. world_flow.mjs computes the same numbers.
"""

import math
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..losses import contrastive_loss, hard_contrastive_loss, hard_simple_loss, simple_loss

CLASSES = 4
HARD_SHARE = 0.0819  # of the negatives: 4095 of 50,000, the paper's number
HAS_TEMPERATURE = ("contrastive", "hard_contrastive")
LOSS_OF = {
    "contrastive": contrastive_loss,
    "simple": simple_loss,
    "hard_contrastive": partial(hard_contrastive_loss, alpha=HARD_SHARE),
    "hard_simple": partial(hard_simple_loss, alpha=HARD_SHARE),
}
LOSS_NAMES = tuple(LOSS_OF)
AT_REST = 1e-4  # of the sphere's radius: the flow stops when no point moves further in a step
LONGEST = 4000  # steps

_TILT = 0.9  # radians from the pole to the middle of each bunch
_SPREAD = 0.15  # of a bunch
_RATE = 0.05  # the learning rate is this times the largest size of the gradient's inverse, as in chapter 5


def random_numbers(seed: int) -> Iterator[float]:
    """Numbers in [0, 1) by mulberry32 (Tommy Ettinger, public domain), the same in Python and in JavaScript."""
    mask = 0xFFFFFFFF
    while True:
        seed = (seed + 0x6D2B79F5) & mask
        t = ((seed ^ (seed >> 15)) * (seed | 1)) & mask
        t ^= (t + ((t ^ (t >> 7)) * (t | 61) & mask)) & mask
        yield (t ^ (t >> 14)) / 2**32


def _normal(numbers: Iterator[float]) -> float:
    """A standard normal number from two even ones: Box & Muller (1958)."""
    radius = math.sqrt(-2 * math.log(1 - next(numbers)))
    return radius * math.cos(2 * math.pi * next(numbers))


def labels_of(n: int) -> Tensor:
    """The class of each of n points: 0, 1, 2, 3, 0, 1, ..."""
    return torch.arange(n) % CLASSES


def start_points(seed: int, n: int) -> Tensor:
    """n points of length 1 in four bunches around one pole, all classes equally far from it: (n, 3) in float64."""
    numbers = random_numbers(seed)
    rows = []
    for i in range(n):
        angle = 2 * math.pi * (i % CLASSES) / CLASSES
        centre = math.sin(_TILT) * math.cos(angle), math.sin(_TILT) * math.sin(angle), math.cos(_TILT)
        rows.append([c + _SPREAD * _normal(numbers) for c in centre])
    return normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def gradient(z: Tensor, loss: str, tau: float) -> tuple[Tensor, Tensor]:
    """The loss of each anchor, (n,), and the gradient of their sum with respect to free points, (n, 3).

    z: (n, 3) of length 1. Each point's positive is an exact copy of itself, its negatives are all others.
    """
    n = len(z)
    free = z.detach().requires_grad_()
    unit = normalize(free, dim=1)
    s = unit @ unit.T
    others = ~torch.eye(n, dtype=torch.bool)
    losses = LOSS_OF[loss](s.diagonal(), s[others].view(n, n - 1), tau)
    losses.sum().backward()
    return losses.detach(), free.grad


def advance(z: Tensor, loss: str, tau: float) -> Tensor:
    """One step of gradient descent for all points, back to length 1: (n, 3) -> (n, 3).

    The learning rate is 0.05 tau for a loss with a temperature, whose gradient is up to 1 / tau large, and 0.05 else.
    """
    rate = _RATE * tau if loss in HAS_TEMPERATURE else _RATE
    return normalize(z - rate * gradient(z, loss, tau)[1], dim=1)
