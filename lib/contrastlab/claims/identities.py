"""C1 to C4: what must hold for all similarities, checked in float64 by autograd and arithmetic."""

import itertools
import math

import torch
from torch import Tensor

from .. import geometry, hardness
from ..losses import contrastive_loss, simple_loss, triplet_loss
from ..negatives import in_batch
from .effects import Fact

TAUS = (0.05, 0.07, 0.2, 1.0)
EXACT = 1e-9  # relative or absolute; float64 leaves about 1e-15 a step


def hardness_aware() -> list[Fact]:
    """C1: pushes in the proportion exp(s / tau), and pull and pushes of one size (Eq. 4 and 5)."""
    proportion, budget = [], []
    for tau in TAUS:
        s_pos, s_neg = (s.requires_grad_() for s in _similarities(64, 50))
        pull, push = torch.autograd.grad(contrastive_loss(s_pos, s_neg, tau).sum(), (s_pos, s_neg))
        expected = ((s_neg - s_neg[:, :1]) / tau).exp()
        proportion.append((push / push[:, :1] / expected - 1).abs().max().item())
        budget.append((push.sum(dim=1) / -pull - 1).abs().max().item())
    return [
        Fact("the push on a negative is proportional to exp(s / tau), by autograd", max(proportion) < EXACT),
        Fact("all pushes of an anchor together are as large as its pull, by autograd", max(budget) < EXACT),
    ]


def entropy_rises() -> list[Fact]:
    """C2: dH/dtau = Var_r(s) / tau^3 > 0, and 0 where all negatives tie."""
    _, s_neg = _similarities(64, 50)
    tied = torch.full((1, 50), 0.3, dtype=torch.float64)
    errors, slopes = [], []
    for tau in TAUS:
        step = 1e-5 * tau
        up, down = (hardness.penalty_entropy(s_neg, tau + sign * step) for sign in (1, -1))
        slope = hardness.penalty_entropy_slope(s_neg, tau)
        errors.append((((up - down) / (2 * step) - slope).abs() / slope).max().item())
        slopes.append(slope.min().item())
    flat = max(hardness.penalty_entropy_slope(tied, tau).abs().max().item() for tau in TAUS)
    return [
        Fact("the slope of H(r) in tau is Var(s) / tau^3, by finite differences", max(errors) < 1e-5),
        Fact("it is above 0 wherever the negatives differ", min(slopes) > 0),
        Fact("it is 0 where all negatives tie, so 'strictly' needs that they do not", flat < EXACT),
    ]


def two_limits() -> list[Fact]:
    """C3: tau L -> the triplet loss (Eq. 6) and tau (L - log N) -> the simple loss (Eq. 7), each with its rate."""
    s_pos, s_neg = _similarities(64, 50)
    N = 51
    cold = [
        (tau * contrastive_loss(s_pos, s_neg, tau) - triplet_loss(s_pos, s_neg)).abs().max().item()
        for tau in (1e-2, 1e-3, 1e-4)
    ]
    limit = (N - 1) / N * simple_loss(s_pos, s_neg)
    warm = [
        (tau * (contrastive_loss(s_pos, s_neg, tau) - math.log(N)) - limit).abs().max().item()
        for tau in (1e2, 1e3, 1e4)
    ]
    within = all(error <= tau * math.log(N) for tau, error in zip((1e-2, 1e-3, 1e-4), cold, strict=True))
    return [
        Fact("tau L is within tau log N of the triplet loss of margin 0 at tau = 0.01, 0.001, 0.0001", within),
        one_negative_in_the_limit(),
        Fact("tau (L - log N) nears the simple loss tenfold with every tenfold tau", _tenfold(warm)),
    ]


def ignores_semantics() -> list[Fact]:
    """C4 (Fig. 1): instances that change places together with their views leave the loss as it is."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(10)
    centres = torch.eye(4, 16, dtype=torch.float64)[labels]
    z0, z1 = (
        torch.nn.functional.normalize(
            centres + 0.2 * torch.randn(40, 16, generator=generator, dtype=torch.float64), dim=1
        )
        for _ in range(2)
    )
    order = torch.randperm(40, generator=generator)
    differences = [abs(_mean_loss(z0, z1, tau) - _mean_loss(z0[order], z1[order], tau)) for tau in TAUS]
    gaps = geometry.class_gap(z0, labels), geometry.class_gap(z0[order], labels)
    return [
        Fact("the loss is the same after instances change places with their views", max(differences) < EXACT),
        Fact("while the class gap falls to less than a tenth", abs(gaps[1]) < gaps[0] / 10),
    ]


def one_negative_in_the_limit() -> Fact:
    """The limit behind C3 and C14: as tau falls to 0, one negative takes all."""
    _, s_neg = _similarities(64, 50)
    counts = torch.stack([hardness.effective_negatives(s_neg, tau) for tau in (1e-1, 1e-2, 1e-3, 1e-6)])
    falls = bool((counts.diff(dim=0) < EXACT).all())  # one cannot fall below one
    to_one = counts[0].min().item() > 2 and counts[-1].max().item() < 1 + 1e-6
    return Fact("the number of effective negatives falls to 1 with tau", falls and to_one)


def _mean_loss(z0: Tensor, z1: Tensor, tau: float) -> float:
    return contrastive_loss(*in_batch(z0, z1), tau).mean().item()


def _tenfold(errors: list[float]) -> bool:
    return all(9 < before / after < 11 for before, after in itertools.pairwise(errors))


def _similarities(B: int, K: int) -> tuple[Tensor, Tensor]:
    draw = torch.rand(B, 1 + K, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    return draw[:, 0].clone(), draw[:, 1:].clone()
