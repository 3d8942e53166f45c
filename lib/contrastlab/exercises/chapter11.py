"""Checks of chapter 11, At scale."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .checking import check_function, check_number

FEW, MANY, TAU = 510, 131_070, 0.2  # negatives of a view in batches of 256 and of 65,536 images


def check_lead(answer: float | None) -> None:
    """Check by how much the positive's lead must grow at tau = 0.2 for 131,070 negatives in place of 510."""
    check_number(
        answer,
        correct=TAU * math.log(MANY / FEW),
        misconceptions=LEAD_MISCONCEPTIONS,
        right="More than half of the 2 that a lead can ever be, spent on standing still.",
        tolerance=0.003,
    )


def check_merge(answer: Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Check a function (top_a, A_a, top_b, A_b), each (B,), and tau -> the sum A of both tiles, (B,)."""
    check_function(
        answer,
        correct=_merge,
        cases=[_two_tiles(0, 0.5), _two_tiles(1, 0.1), _two_tiles(2, 0.002)],
        misconceptions=MERGE_MISCONCEPTIONS,
        right="No exponent is above 0, so this works at any temperature, and for any number of tiles in turn.",
    )


def check_backward(answer: Callable[[Tensor, int], Tensor]) -> None:
    """Check a function upstream (W, N, d), r -> (N / W, d): the backward pass of a gather, on machine r."""
    check_function(
        answer,
        correct=_backward,
        cases=[(_upstream(2, 4, 3, 0), 1), (_upstream(4, 8, 2, 1), 2)],
        misconceptions=BACKWARD_MISCONCEPTIONS,
        right="A sum here and DDP's mean later: together the gradient of the mean over all anchors.",
    )


LEAD_MISCONCEPTIONS: dict[str, float] = {
    "You multiplied by 1 / tau. The lead is divided by tau in the exponent, so it grows by tau times the logarithm.": (
        math.log(MANY / FEW) / TAU
    ),
    "That is the growth of lead / tau. Multiply it by tau.": math.log(MANY / FEW),
    "You used the logarithm to base 10. The loss has e in it.": TAU * math.log10(MANY / FEW),
    "You used the logarithm to base 2. The loss has e in it.": TAU * math.log2(MANY / FEW),
    "That is tau times the logarithm of the new number alone. The old lead has done for 510 of them already.": (
        TAU * math.log(MANY)
    ),
    "The sign is reversed: more rivals ask for a longer lead.": -TAU * math.log(MANY / FEW),
}


def _two_tiles(seed: int, tau: float) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """top_a, A_a, top_b, A_b, tau; each tile holds the nearer top for some of the anchors."""
    generator = torch.Generator().manual_seed(seed)
    s = torch.rand(2, 6, 5, generator=generator, dtype=torch.float64) * 2 - 1  # tiles, anchors, negatives
    s[0, :3] -= 0.3
    s[1, 3:] -= 0.3
    (top_a, A_a), (top_b, A_b) = ((tile.amax(1), _sum(tile, tau)) for tile in s)
    return top_a, A_a, top_b, A_b, tau


def _sum(s: Tensor, tau: float) -> Tensor:
    return ((s - s.amax(1, keepdim=True)) / tau).exp().sum(1)


def _merge(top_a: Tensor, A_a: Tensor, top_b: Tensor, A_b: Tensor, tau: float) -> Tensor:
    return _with_respect_to(torch.maximum(top_a, top_b), top_a, A_a, top_b, A_b, tau)


def _with_respect_to(top: Tensor, top_a: Tensor, A_a: Tensor, top_b: Tensor, A_b: Tensor, tau: float) -> Tensor:
    return A_a * ((top_a - top) / tau).exp() + A_b * ((top_b - top) / tau).exp()


MERGE_MISCONCEPTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor, float], Tensor]] = {
    "You added sums that refer to different tops. Put both in terms of one top first.": (
        lambda top_a, A_a, top_b, A_b, tau: A_a + A_b
    ),
    "You took the first tile's top for all anchors. Where the second holds the nearer one, its exponent is above 0.": (
        lambda top_a, *rest: _with_respect_to(top_a, top_a, *rest)
    ),
    "You took the second tile's top for all anchors. Where the first holds the nearer one, its exponent is above 0.": (
        lambda top_a, A_a, top_b, A_b, tau: _with_respect_to(top_b, top_a, A_a, top_b, A_b, tau)
    ),
    "You took the farther of the two tops, so that the other tile's exponent is above 0.": (
        lambda top_a, A_a, top_b, A_b, tau: _with_respect_to(torch.minimum(top_a, top_b), top_a, A_a, top_b, A_b, tau)
    ),
    "You left out the temperature.": lambda top_a, A_a, top_b, A_b, tau: _merge(top_a, A_a, top_b, A_b, 1.0),
    "The factor is upside down: a sum that refers to an older, lower top must shrink.": (
        lambda top_a, A_a, top_b, A_b, tau: _merge(top_a, A_a, top_b, A_b, -tau)
    ),
    "You kept the tile with the nearer top and dropped the other one.": (
        lambda top_a, A_a, top_b, A_b, tau: torch.where(top_a > top_b, A_a, A_b)
    ),
    "That is the logarithm of the sum. Return the sum.": lambda *case: _merge(*case).log(),
}


def _upstream(world: int, N: int, d: int, seed: int) -> Tensor:
    return torch.randn(world, N, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _backward(upstream: Tensor, r: int) -> Tensor:
    return upstream.sum(dim=0).chunk(len(upstream))[r]


BACKWARD_MISCONCEPTIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "You took machine r's own gradient only. The others used its views as negatives, and have a say too.": (
        lambda upstream, r: upstream[r].chunk(len(upstream))[r]
    ),
    "You took the mean over machines. DDP takes it once more: the gradients would be too small by 1 / W.": (
        lambda upstream, r: _backward(upstream, r) / len(upstream)
    ),
    "You left out machine r itself. It is one of those that use its views.": (
        lambda upstream, r: _backward(upstream, r) - upstream[r].chunk(len(upstream))[r]
    ),
    "You multiplied by W to undo DDP's mean. Each loss is a mean over own anchors, so it is right.": (
        lambda upstream, r: _backward(upstream, r) * len(upstream)
    ),
    "These are the gradients of the first machine's views. Machine r's rows are the r-th part.": (
        lambda upstream, r: _backward(upstream, 0)
    ),
    "You summed over the wrong views: machine r's gradient with respect to every part, not everybody's to part r.": (
        lambda upstream, r: torch.stack(upstream[r].chunk(len(upstream))).sum(dim=0)
    ),
}
