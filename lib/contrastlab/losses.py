"""The losses of the paper, each a function of one anchor's similarities.

Wang & Liu, "Understanding the Behaviour of Contrastive Loss", CVPR 2021 (arXiv 2012.09740).
An anchor has one positive, at similarity s_pos, and K negatives, at similarities s_neg. Where the negatives come
from (the other views in the batch, a memory bank) is the business of `negatives.py`.

Every loss computes in float32 at least: the losses leave half precision, and any autocast region, before they
exponentiate.
"""

from torch import Tensor
from torch.nn.functional import softplus

from .checks import check_negatives, check_similarities, check_temperature
from .precision import full, no_autocast

SETTINGS: dict[str, tuple[str, ...]] = {  # what each loss takes beside the similarities
    "contrastive": ("tau",),
    "simple": (),
    "hard_contrastive": ("tau", "alpha", "k"),
    "hard_simple": ("alpha", "k"),
    "triplet": (),
}
LOSSES = tuple(SETTINGS)


def contrastive_loss(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    """-log of the probability that softmax gives the positive among positive and negatives: Eq. 1.

    s_pos: (B,) cosine similarity of each anchor to its positive, in [-1, 1].
    s_neg: (B, K) cosine similarities to the negatives. Returns (B,), each >= 0.
    Raises ValueError unless tau > 0 and the shapes agree.
    """
    check_temperature(tau)
    check_similarities(s_pos, s_neg)
    with no_autocast(s_pos):
        s_pos, s_neg = full(s_pos), full(s_neg)
        nearest = s_neg.detach().amax(dim=1)  # taken off before the division, so that close rivals keep their digits
        lead = ((s_neg - nearest[:, None]) / tau).logsumexp(dim=1) + (nearest - s_pos) / tau  # (B,)
        # -log softmax = log(1 + exp lead); softplus keeps the digits that log(1 + tiny) would lose.
        return softplus(lead, threshold=60)


def simple_loss(s_pos: Tensor, s_neg: Tensor, tau: float | None = None, weight: float = 1.0) -> Tensor:
    """Pull the positive, push every negative alike: Eq. 3, with lambda spread evenly over the K negatives.

    L = -s_pos + weight * mean(s_neg). The paper does not give its lambda; weight = 1 is the limit of Eq. 1 for a large
    temperature (Eq. 7), where the pull on the positive and the total push are equal.
    s_pos: (B,), s_neg: (B, K). Returns (B,). tau has no effect and is accepted so that all losses share one signature.
    """
    check_similarities(s_pos, s_neg)
    with no_autocast(s_pos):
        return weight * full(s_neg).mean(dim=1) - full(s_pos)


def hard_contrastive_loss(
    s_pos: Tensor, s_neg: Tensor, tau: float, *, alpha: float | None = None, k: int | None = None
) -> Tensor:
    """The contrastive loss over the hardest negatives only: Eq. 8-9.

    Give either alpha, the share of the negatives that is kept (the upper alpha-quantile, 0 < alpha <= 1), or k, their
    number. s_pos: (B,), s_neg: (B, K). Returns (B,). Raises ValueError for an impossible alpha, k or tau.
    """
    return contrastive_loss(s_pos, hardest(s_neg, alpha=alpha, k=k), tau)


def hard_simple_loss(
    s_pos: Tensor, s_neg: Tensor, tau: float | None = None, *, alpha: float | None = None, k: int | None = None
) -> Tensor:
    """The simple loss over the hardest negatives only, the paper's "nearest 4095 features".

    Give either alpha or k, as in `hard_contrastive_loss`. s_pos: (B,), s_neg: (B, K). Returns (B,).
    """
    return simple_loss(s_pos, hardest(s_neg, alpha=alpha, k=k), tau)


def triplet_loss(s_pos: Tensor, s_neg: Tensor, tau: float | None = None) -> Tensor:
    """max(s_max - s_pos, 0), the limit of tau times the contrastive loss for a small tau: Eq. 6.

    A triplet loss of margin 0 over the nearest negative. The factor 1 / tau of Eq. 6 is left to the learning rate.
    s_pos: (B,), s_neg: (B, K). Returns (B,), 0 where no negative is nearer than the positive. tau has no effect and is
    accepted so that all losses share one signature.
    """
    check_similarities(s_pos, s_neg)
    with no_autocast(s_pos):
        return (full(s_neg).amax(dim=1) - full(s_pos)).relu()


def hardest(s_neg: Tensor, *, alpha: float | None = None, k: int | None = None) -> Tensor:
    """The k largest of each anchor's negatives, or its upper alpha-quantile: (B, K) -> (B, k).

    With alpha, k = round(alpha * K), at least 1. Exactly k are kept, also where more tie at the threshold.
    Raises ValueError unless exactly one of alpha in (0, 1] and k in 1..K is given.
    """
    check_negatives(s_neg)
    total = s_neg.shape[1]
    if (alpha is None) == (k is None):
        raise ValueError("say which negatives are hard: give either alpha (a share, e.g. 0.08) or k (a number)")
    if alpha is not None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha is the share of negatives to keep and must be in (0, 1], got {alpha:g}")
        k = max(1, round(alpha * total))
    if not 1 <= k <= total:
        raise ValueError(f"cannot keep the k = {k} hardest of {total} negatives; choose k from 1 to {total}")
    return s_neg.topk(k, dim=1, sorted=False).values
