"""What an embedding looks like: uniformity, tolerance and their companions.

All functions take z of shape (n, d), normalise it to the unit sphere, and work in tiles, so that n = 50,000 needs no
n-by-n matrix. Sums are taken in float64.
"""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.special import hyp0f1
from torch import Tensor

from .checks import check_embeddings, check_labels, check_views
from .precision import full, no_autocast

TILE = 1024  # rows a tile: 4 MB of similarities in float32


def uniformity(z: Tensor, t: float = 2.0) -> float:
    """-log of the mean Gaussian potential over distinct pairs: -L_unif of Eq. 10, so that larger is more uniform.

    Uniformity after Wang & Isola (ICML 2020), with the sign that the paper's figures and table print. The paper does
    not state t; its largest values (3.93) match t = 2 in 128 dimensions.
    z: (n, d). Returns 0 where all points are alike, and for many points at most about
    `uniformity_ceiling(d, t)`; a handful can lie further apart, two antipodal points at 4 t.
    """
    z = _unit(z)
    n = len(z)
    total = 0.0
    for row, column, s in _upper_tiles(z):
        potential = torch.exp(2 * t * (s - 1))  # |x - y|^2 = 2 - 2 s on the sphere
        if row == column:
            potential = potential.triu(diagonal=1)
        total += potential.sum(dtype=torch.float64).item()
    return max(0.0, -float(np.log(total / (n * (n - 1) / 2))))  # rounding alone takes it below 0


def tolerance(z: Tensor, labels: Tensor) -> float:
    """Mean similarity of distinct samples of one class: Eq. 11, read as a conditional mean.

    The formula as printed, E[f(x) f(y) I(same class)], averages over all pairs and cannot exceed 1/C for C balanced
    classes, while the paper's Table 1 has .372 on ten classes and .343 on a hundred. Its prose says "the mean
    similarities of samples belong to the same class": that is this function.
    z: (n, d), labels: (n,) integers. Returns a number in [-1, 1].
    """
    return _same_and_different(z, labels)[0]


def class_gap(z: Tensor, labels: Tensor) -> float:
    """Tolerance minus the mean similarity of samples of different classes.

    Tolerance alone is highest when everything collapses to one point; the gap is then 0.
    z: (n, d), labels: (n,) integers with at least two classes. Returns a number in [-2, 2].
    """
    same, different = _same_and_different(z, labels)
    if np.isnan(different):
        raise ValueError("class_gap compares classes, but all labels are alike. Pass samples of at least two classes.")
    return same - different


def alignment(z0: Tensor, z1: Tensor, alpha: float = 2.0) -> float:
    """Mean distance between the two views of an image to the power alpha: Wang & Isola (ICML 2020), smaller is better.

    z0, z1: (n, d), row i of both from the same image. Returns a number in [0, 2 ** alpha].
    """
    check_views(z0, z1)
    distance = (_unit(z0) - _unit(z1)).norm(dim=1)
    return distance.pow(alpha).mean(dtype=torch.float64).item()


def effective_rank(z: Tensor) -> float:
    """How many dimensions the embedding uses: exp of the entropy of its normalised singular values.

    Roy & Vetterli (EUSIPCO 2007). The singular values are those of the centred unit vectors.
    z: (n, d). Returns a number from 1 to min(n - 1, d), or 0 where all points coincide.
    """
    z = _unit(z).double()
    centred = z - z.mean(dim=0)
    # Eigenvalues of the (d, d) second moment are the squared singular values of the (n, d) matrix.
    singular = torch.linalg.eigvalsh(centred.T @ centred).clamp(min=0).sqrt()
    if centred.norm() < 1e-6 * len(z) ** 0.5:  # within float32 rounding of one point
        return 0.0
    return torch.special.entr(singular / singular.sum()).sum().exp().item()


def uniformity_ceiling(d: int, t: float = 2.0) -> float:
    """The uniformity of the uniform distribution on the unit sphere in d dimensions, which none exceeds.

    2 t - log 0F1(; d/2; t^2), where 0F1(; d/2; t^2) = Gamma(d/2) t^(1 - d/2) I_(d/2 - 1)(2 t) averages exp(2 t x.y).
    Returns about 3.94 for d = 128, t = 2. Raises ValueError unless d >= 2 and 0 < t <= 300.
    """
    if d < 2 or not 0 < t <= 300:  # beyond, exp(2 t) overflows
        raise ValueError(f"the sphere needs d >= 2 dimensions and a width t in (0, 300], got d = {d}, t = {t:g}")
    return float(2 * t - np.log(hyp0f1(d / 2, t**2)))


def _same_and_different(z: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean similarity of distinct pairs of one class, and of two classes, from class sums alone.

    Over ordered pairs, the similarities of class c add up to |sum of its vectors|^2, of which |c| are a vector with
    itself; no pair is ever formed.
    """
    check_embeddings(z)
    check_labels(z, labels)
    z = _unit(z).double()
    _, index = labels.unique(return_inverse=True)
    sums = z.new_zeros(int(index.max()) + 1, z.shape[1]).index_add_(0, index, z)
    sizes = index.bincount().double()
    n = len(z)
    own = (z * z).sum().item()  # n, up to rounding
    same = (sums * sums).sum().item() - own
    everything = (sums.sum(dim=0) ** 2).sum().item() - own
    same_pairs = (sizes * (sizes - 1)).sum().item()
    different_pairs = n * (n - 1) - same_pairs
    different = (everything - same) / different_pairs if different_pairs else float("nan")
    return same / same_pairs, different


def _unit(z: Tensor) -> Tensor:
    check_embeddings(z)
    z = z.detach()
    z = full(z)
    z = z / z.abs().amax(dim=1, keepdim=True)  # so that the squares neither underflow nor overflow
    return torch.nn.functional.normalize(z, dim=1)


def _upper_tiles(z: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """The upper triangle of z z^T in tiles of at most TILE x TILE."""
    for row in range(0, len(z), TILE):
        for column in range(row, len(z), TILE):
            with no_autocast(z):
                tile = z[row : row + TILE] @ z[column : column + TILE].T
            yield row, column, tile
