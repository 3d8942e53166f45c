"""Checks of chapter 8, Hard negatives on purpose."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..hardness import relative_penalty
from .checking import check_function, check_number

IMAGES, ALPHA = 256, 0.3
NEGATIVES = 2 * IMAGES - 2  # the views of the other images in the batch
KEPT = round(ALPHA * NEGATIVES)

SVHN, PAPERS_NUMBER = 73_257, 4095


def check_penalty(answer: Callable[[Tensor, float, int], Tensor]) -> None:
    """Check a function s_neg (B, K), tau, k -> (B, K): the relative penalty of the hard contrastive loss, Eq. 8."""
    check_function(
        answer,
        correct=_penalty,
        cases=[(_negatives(b, K, seed), tau, k) for b, K, tau, k, seed in ((2, 5, 0.3, 2, 0), (3, 9, 0.8, 4, 1))],
        misconceptions=PENALTY_MISCONCEPTIONS,
        right="What is below the threshold gets nothing, and the rest share the whole push.",
    )


def check_collapsed(answer: float | None) -> None:
    """Check the hard contrastive loss of a collapsed encoder: batches of 256 images, alpha = 0.3."""
    check_number(
        answer,
        correct=math.log(1 + KEPT),
        misconceptions=COLLAPSED_MISCONCEPTIONS,
        right="Every similarity is 1, so the softmax guesses blindly among the positive and the 153 that are kept.",
        tolerance=0.0008,  # log(153) is 0.13 % away
    )


def check_share(answer: float | None) -> None:
    """Check the share alpha that leaves 4095 negatives of SVHN's memory bank."""
    check_number(
        answer,
        correct=PAPERS_NUMBER / (SVHN - 1),
        misconceptions=SHARE_MISCONCEPTIONS,
        right="The paper's 0.0315 is not that share. Its number and its alpha agree for the two CIFAR sets only (G10).",
        tolerance=0.005,
    )


def _negatives(b: int, K: int, seed: int) -> Tensor:
    return torch.rand(b, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def _is_hard(s_neg: Tensor, k: int, largest: bool = True) -> Tensor:
    """Where the k hardest negatives of each row are, or the k least hard: (B, K), bool."""
    place = s_neg.topk(k, dim=1, largest=largest).indices
    return torch.zeros_like(s_neg, dtype=torch.bool).scatter_(1, place, True)


def _penalty(s_neg: Tensor, tau: float, k: int, largest: bool = True) -> Tensor:
    return torch.softmax(s_neg.masked_fill(~_is_hard(s_neg, k, largest), -math.inf) / tau, dim=1)


def _renormalised_by(shares: Tensor) -> Tensor:
    return shares / shares.sum(dim=1, keepdim=True)


PENALTY_MISCONCEPTIONS: dict[str, Callable[[Tensor, float, int], Tensor]] = {
    "You set the others to 0 and left it there: each row must add up to 1 again.": (
        lambda s, tau, k: relative_penalty(s, tau) * _is_hard(s, k)
    ),
    "You set the dropped similarities to 0. A similarity of 0 still counts e^0 in the softmax; give it no weight.": (
        lambda s, tau, k: relative_penalty(s * _is_hard(s, k), tau)
    ),
    "You kept the k least similar negatives. Hard ones are those with the highest similarity.": (
        lambda s, tau, k: _penalty(s, tau, k, largest=False)
    ),
    "You gave every hard negative the same share. That is the hard simple loss; Eq. 8 keeps e^(s / tau) among them.": (
        lambda s, tau, k: _renormalised_by(_is_hard(s, k).to(s.dtype))
    ),
    "You left out the temperature among the hard negatives.": lambda s, tau, k: _penalty(s, 1.0, k),
    "These are the shares of the ordinary loss: nothing was dropped.": lambda s, tau, k: relative_penalty(s, tau),
    "You kept one negative too few.": lambda s, tau, k: _penalty(s, tau, k - 1),
    "You kept one negative too many: k of them, the threshold included.": lambda s, tau, k: _penalty(s, tau, k + 1),
}

COLLAPSED_MISCONCEPTIONS: dict[str, float] = {
    "You forgot the positive, which competes in its own denominator: 1 + k candidates.": math.log(KEPT),
    "That counts all 510 negatives. The loss keeps the hardest 153 only.": math.log(1 + NEGATIVES),
    "A batch of 256 images has 510 negatives for a view, two of each other image: alpha counts among these.": (
        math.log(1 + round(ALPHA * IMAGES))
    ),
    "A view has two negatives of each *other* image: 510 in all, not 255.": math.log(1 + round(ALPHA * (IMAGES - 1))),
    "That is where the hard simple loss stands: mean of the kept negatives minus the positive, 1 - 1.": 0.0,
    "That is the number of kept negatives. What does a blind guess among them and the positive cost?": float(KEPT),
}

SHARE_MISCONCEPTIONS: dict[str, float] = {
    "That is the share for 50,000 images. SVHN has 73,257.": 0.0819,
    "That is the share that the paper prints. How many negatives does it leave?": 0.0315,
    "That is how many negatives the paper's share leaves. The share that leaves 4095 is asked for.": 2308.0,
    "That is a percentage. Give the share as a number between 0 and 1.": 100 * PAPERS_NUMBER / (SVHN - 1),
    "A memory bank remembers one vector an image, not two views: 73,256 negatives.": PAPERS_NUMBER / (2 * SVHN - 2),
}
