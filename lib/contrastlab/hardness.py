"""Who gets pushed, and how hard: the gradient of the contrastive loss in closed form.

Wang & Liu, CVPR 2021, Eq. 2 to 5. All functions take one anchor a row: s_pos (B,), s_neg (B, K).
"""

import torch
from torch import Tensor

from .checks import check_negatives, check_similarities, check_temperature
from .precision import full, no_autocast


def probabilities(s_pos: Tensor, s_neg: Tensor, tau: float) -> tuple[Tensor, Tensor]:
    """P: the softmax over the positive and all negatives, Eq. 2.

    Returns P_pos (B,) and P_neg (B, K), which sum to 1 for each anchor. The gradient of the loss is
    -(1 - P_pos) / tau with respect to s_pos and P_neg / tau with respect to s_neg (Eq. 4).
    Raises ValueError unless tau > 0.
    """
    check_temperature(tau)
    check_similarities(s_pos, s_neg)
    s = torch.cat([full(s_pos)[:, None], full(s_neg)], dim=1)  # (B, 1 + K)
    P = torch.softmax(s / tau, dim=1)
    return P[:, 0], P[:, 1:]


def relative_penalty(s_neg: Tensor, tau: float) -> Tensor:
    """Share of an anchor's repulsion that each negative receives: r of Eq. 5.

    s_neg: (B, K) cosine similarities of B anchors to their K negatives.
    Returns (B, K); each row is positive and sums to 1.
    Raises ValueError unless tau > 0.
    """
    check_temperature(tau)
    check_negatives(s_neg)
    return torch.softmax(full(s_neg) / tau, dim=1)


def penalty_entropy(s_neg: Tensor, tau: float) -> Tensor:
    """Entropy H(r) of the relative penalty in nats: log K when all share it, 0 when one takes it.

    s_neg: (B, K). Returns (B,). Raises ValueError unless tau > 0.
    """
    r = relative_penalty(s_neg, tau)
    return torch.special.entr(r).sum(dim=1)


def penalty_entropy_slope(s_neg: Tensor, tau: float) -> Tensor:
    """dH/dtau = Var_r(s) / tau^3: never negative, and zero only where all negatives tie.

    This is the paper's statement that H(r) falls with the temperature, in closed form: with beta = 1 / tau,
    dH/dbeta = -beta Var_r(s). s_neg: (B, K). Returns (B,). Raises ValueError unless tau > 0.
    """
    s_neg = full(s_neg)
    r = relative_penalty(s_neg, tau)
    mean = (r * s_neg).sum(dim=1, keepdim=True)
    return (r * (s_neg - mean) ** 2).sum(dim=1) / tau**3


def effective_negatives(s_neg: Tensor, tau: float) -> Tensor:
    """How many negatives effectively count, exp H(r): between 1 and K.

    s_neg: (B, K). Returns (B,). Raises ValueError unless tau > 0.
    """
    return penalty_entropy(s_neg, tau).exp()


def penalty_interval(s_neg: Tensor, tau: float, share: float = 0.95) -> Tensor:
    """The similarity above which lies the given share of the push: the lower end of the penalty interval.

    s_neg: (B, K), share in (0, 1]. Returns (B,): the largest s such that negatives with similarity >= s receive
    together at least `share` of the penalty (the interval narrows as tau falls).
    Raises ValueError for another share or tau.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is a part of the whole push and must be in (0, 1], got {share:g}")
    check_negatives(s_neg)
    s_sorted, order = s_neg.sort(dim=1)
    r = relative_penalty(s_neg, tau).gather(1, order)
    below = torch.nn.functional.pad(r.cumsum(dim=1)[:, :-1], (1, 0))  # (B, K), what all lower negatives receive
    covered = below <= (1 - share) * (1 + 1e-6)  # an exact hit may miss by rounding
    return s_sorted.gather(1, covered.sum(dim=1, keepdim=True) - 1)[:, 0]


def gradient_magnitude(s_pos: Tensor, s_neg: Tensor, tau: float) -> Tensor:
    """The size of the pull on the positive, which equals the sum of all pushes: (1 - P_pos) / tau, from Eq. 4.

    The relative penalty r does not show it: at a small tau an anchor that is already matched is hardly moved at all.
    s_pos: (B,), s_neg: (B, K). Returns (B,). Raises ValueError unless tau > 0.
    """
    _, P_neg = probabilities(s_pos, s_neg, tau)
    return P_neg.sum(dim=1) / tau  # not 1 - P_pos, which rounds to 0 for a well-matched anchor


def feature_gradient(z: Tensor, z_pos: Tensor, z_neg: Tensor, tau: float) -> Tensor:
    """The gradient of the contrastive loss with respect to the anchor's features, projected onto the sphere.

    (1 - P_pos) / tau * (I - z z^T) (sum_j r_j z_j - z_pos): towards the positive and away from the r-weighted mean of
    the negatives. Derived from Eq. 4 by the chain rule; for features h = |h| z, divide by |h|.
    z: (B, d) unit anchors, z_pos: (B, d) unit positives, z_neg: (B, K, d) unit negatives, or (K, d) shared by all.
    Returns (B, d), tangent to the sphere at z. Raises ValueError unless tau > 0.
    """
    with no_autocast(z):
        z, z_pos, z_neg = full(z), full(z_pos), full(z_neg)
        z_neg = z_neg.expand(len(z), *z_neg.shape[-2:])  # (B, K, d)
        s_pos = (z * z_pos).sum(dim=1)
        s_neg = torch.einsum("bd,bkd->bk", z, z_neg)
        r = relative_penalty(s_neg, tau)
        pull = torch.einsum("bk,bkd->bd", r, z_neg) - z_pos
        tangent = pull - (pull * z).sum(dim=1, keepdim=True) * z
        return gradient_magnitude(s_pos, s_neg, tau)[:, None] * tangent
