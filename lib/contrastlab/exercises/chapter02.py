"""Checks of chapter 2, The contrastive loss."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ..losses import contrastive_loss
from ..negatives import in_batch
from .checking import check_function


def check_loss(answer: Callable[[Tensor, Tensor, Tensor, float], Tensor]) -> None:
    """Check a function h (B, d), h_pos (B, d), h_neg (B, K, d), tau -> (B,): Eq. 1 of raw vectors."""
    check_function(
        answer,
        correct=_loss,
        cases=_raw_cases(),
        misconceptions=LOSS_MISCONCEPTIONS,
        right="Only directions count, and the positive competes in its own denominator.",
    )


def check_batch_loss(answer: Callable[[Tensor, float], Tensor]) -> None:
    """Check a function z (2N, d), tau -> (): the mean of Eq. 1 over all 2N anchors of a batch."""
    check_function(
        answer,
        correct=_batch_loss,
        cases=_batch_cases(),
        misconceptions=BATCH_LOSS_MISCONCEPTIONS,
        right="Every view was an anchor once, with one positive and 2N - 2 negatives.",
    )


def _raw_cases() -> tuple[tuple[Tensor, Tensor, Tensor, float], ...]:
    generator = torch.Generator().manual_seed(2)
    return tuple(
        (_draw(b, 5, generator), _draw(b, 5, generator), _draw(b, k, 5, generator), tau)
        for b, k, tau in ((2, 4, 0.4), (3, 7, 1.6))
    )


def _batch_cases() -> tuple[tuple[Tensor, float], ...]:
    generator = torch.Generator().manual_seed(3)
    return tuple((normalize(_draw(2 * n, 4, generator), dim=1), tau) for n, tau in ((3, 0.4), (5, 1.6)))


def _draw(*arguments: int | torch.Generator) -> Tensor:
    *shape, generator = arguments
    return torch.randn(*shape, generator=generator)


def _similarities(z: Tensor, z_pos: Tensor, z_neg: Tensor) -> tuple[Tensor, Tensor]:
    return (z * z_pos).sum(dim=1), torch.einsum("bd,bkd->bk", z, z_neg)


def _of_directions(loss: Callable[[Tensor, Tensor, float], Tensor]) -> Callable[..., Tensor]:
    """The loss as a function of raw vectors."""

    def of_raw(h: Tensor, h_pos: Tensor, h_neg: Tensor, tau: float) -> Tensor:
        return loss(*_similarities(normalize(h, dim=-1), normalize(h_pos, dim=-1), normalize(h_neg, dim=-1)), tau)

    return of_raw


_loss = _of_directions(contrastive_loss)


def _unnormalised(h: Tensor, h_pos: Tensor, h_neg: Tensor, tau: float) -> Tensor:
    return contrastive_loss(*_similarities(h, h_pos, h_neg), tau)


def _positive_missing(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return (s_neg / tau).logsumexp(dim=1) - s_pos / tau


def _mean_of_negatives(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    return torch.log((s_pos / tau).exp() + (s_neg / tau).exp().mean(dim=1)) - s_pos / tau


LOSS_MISCONCEPTIONS = {
    "These are the values for vectors as they come. Divide each by its length first: the loss sees directions only.": (
        _unnormalised
    ),
    "You multiplied the similarities by tau. Divide by it: a small temperature makes differences count more.": (
        _of_directions(lambda s_pos, s_neg, tau: contrastive_loss(s_pos, s_neg, 1 / tau))
    ),
    "The temperature is missing. Divide every similarity by tau before you exponentiate.": (
        _of_directions(lambda s_pos, s_neg, tau: contrastive_loss(s_pos, s_neg, 1.0))
    ),
    "The positive is missing from the denominator. It is one of the candidates, so that P is at most 1.": (
        _of_directions(_positive_missing)
    ),
    "You took the mean over the negatives. The denominator is a sum: every further negative adds to it.": (
        _of_directions(_mean_of_negatives)
    ),
    "You forgot the minus: the logarithm of a probability is negative, and a loss should fall as P rises.": (
        _of_directions(lambda s_pos, s_neg, tau: -contrastive_loss(s_pos, s_neg, tau))
    ),
    "This is P, the probability of the positive. The loss is minus its logarithm.": (
        _of_directions(lambda s_pos, s_neg, tau: (-contrastive_loss(s_pos, s_neg, tau)).exp())
    ),
}


def _batch_losses(z: Tensor, tau: float) -> Tensor:
    return contrastive_loss(*in_batch(*z.chunk(2)), tau)


def _batch_loss(z: Tensor, tau: float) -> Tensor:
    return _batch_losses(z, tau).mean()


def _itself_unmasked(z: Tensor, tau: float) -> Tensor:
    s_pos, s_neg = in_batch(*z.chunk(2))
    itself = (z * z).sum(dim=1, keepdim=True)
    return contrastive_loss(s_pos, torch.cat([s_neg, itself], dim=1), tau).mean()


def _itself_as_positive(z: Tensor, tau: float) -> Tensor:
    s_pos, s_neg = in_batch(*z.chunk(2))
    return contrastive_loss((z * z).sum(dim=1), torch.cat([s_neg, s_pos[:, None]], dim=1), tau).mean()


def _itself_zeroed(z: Tensor, tau: float) -> Tensor:
    s_pos, s_neg = in_batch(*z.chunk(2))
    return contrastive_loss(s_pos, torch.cat([s_neg, torch.zeros(len(z), 1)], dim=1), tau).mean()


def _positive_twice(z: Tensor, tau: float) -> Tensor:
    s_pos, s_neg = in_batch(*z.chunk(2))
    return contrastive_loss(s_pos, torch.cat([s_neg, s_pos[:, None]], dim=1), tau).mean()


def _across_views_only(z: Tensor, tau: float) -> Tensor:
    s = z[: len(z) // 2] @ z[len(z) // 2 :].T  # (N, d) @ (d, N) -> (N, N)
    each_way = [rows.logsumexp(dim=1) - rows.diagonal() for rows in (s / tau, s.T / tau)]
    return torch.cat(each_way).mean()


def _neighbours_paired(z: Tensor, tau: float) -> Tensor:
    return contrastive_loss(*in_batch(z[0::2], z[1::2]), tau).mean()


BATCH_LOSS_MISCONCEPTIONS = {
    "The anchor is among its own negatives. Its similarity to itself is 1; mask the diagonal with -inf.": (
        _itself_unmasked
    ),
    "You took the diagonal as the positive: the anchor beside itself. The positive is the other view, N rows away.": (
        _itself_as_positive
    ),
    "You set the diagonal to 0, but exp(0) = 1 still counts in the sum. Set it to -inf.": _itself_zeroed,
    "The positive is counted twice in the denominator. Leave it out of the negatives, or do not add it again.": (
        _positive_twice
    ),
    "Your negatives are N - 1 views of the other kind. Both views of every other image are negatives: 2N - 2.": (
        _across_views_only
    ),
    "You paired rows 0 and 1, 2 and 3, ... Here the two views of image i are rows i and i + N.": _neighbours_paired,
    "You summed over the anchors. Take the mean, so that the loss does not grow with the batch.": (
        lambda z, tau: _batch_losses(z, tau).sum()
    ),
    "This is the mean over the first views only. The second views are anchors too.": (
        lambda z, tau: _batch_losses(z, tau)[: len(z) // 2].mean()
    ),
    "You multiplied the similarities by tau. Divide by it: a small temperature makes differences count more.": (
        lambda z, tau: _batch_loss(z, 1 / tau)
    ),
    "You forgot the minus: the logarithm of a probability is negative, and a loss should fall as P rises.": (
        lambda z, tau: -_batch_loss(z, tau)
    ),
}
