"""Checks of the exercises of chapter 7, "Ten temperatures"."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .. import geometry
from .checking import check_function, check_number

CLASSES = 10
APART = -1 / (CLASSES - 1)  # similarity of two corners of a regular simplex
RATE, WARM, COLD = 0.12, 0.2, 0.05  # a learning rate, the temperature it was chosen at, and a colder one


def check_class_gap(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Check a learner's class gap: (z (n, d) of unit length, labels (n,)) -> a tensor of shape ()."""
    check_function(
        answer,
        correct=_class_gap,
        cases=[_case(n, seed) for n, seed in ((12, 0), (30, 1), (60, 2))],
        misconceptions=CLASS_GAP_MISCONCEPTIONS,
        right="Under full collapse both means are 1 and the gap is 0, while the tolerance alone would be at its best.",
    )


def check_simplex(answer: float | None) -> None:
    """Check a learner's uniformity, t = 2, of ten classes that have collapsed onto the corners of a simplex."""
    check_number(
        answer,
        correct=_simplex(),
        misconceptions=SIMPLEX_MISCONCEPTIONS,
        right="So a tolerance of 1 leaves room for a uniformity of 2.2: the sphere does not force the trade (G5).",
        tolerance=0.005,
    )


def check_luck(answer: float | None) -> None:
    """Check the chance that three runs all lie above three others if the six orders are a matter of luck."""
    check_number(
        answer,
        correct=1 / math.comb(6, 3),
        misconceptions=LUCK_MISCONCEPTIONS,
        right="So three seeds a side can never say more than 1 in 20. With five a side it is 1 in 252.",
    )


def check_rate(answer: float | None) -> None:
    """Check the learning rate at tau = 0.05 that keeps its product with the push as at tau = 0.2 with 0.12."""
    check_number(
        answer,
        correct=RATE * COLD / WARM,
        misconceptions=RATE_MISCONCEPTIONS,
        right="Rate over temperature stays at 0.6. The runs in proportion to the temperature were trained so.",
    )


def _case(n: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator, dtype=torch.float64) + 0.5, dim=1)
    return z, torch.arange(n) % 3 * (torch.arange(n) % 2)  # classes of different size


def _class_gap(z: Tensor, labels: Tensor) -> Tensor:
    return torch.tensor(geometry.class_gap(z, labels), dtype=torch.float64)


def _parts(z: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Similarities (n, n), where labels agree (n, n), and where a sample meets itself (n, n)."""
    return z @ z.T, labels[:, None] == labels, torch.eye(len(z), dtype=torch.bool)


def _with_itself(z: Tensor, labels: Tensor) -> Tensor:
    s, same, _ = _parts(z, labels)
    return s[same].mean() - s[~same].mean()


def _over_all_pairs(z: Tensor, labels: Tensor) -> Tensor:
    s, same, itself = _parts(z, labels)
    return (s * (same & ~itself)).mean() - (s * ~same).mean()


def _reversed(z: Tensor, labels: Tensor) -> Tensor:
    return -_class_gap(z, labels)


def _tolerance_only(z: Tensor, labels: Tensor) -> Tensor:
    s, same, itself = _parts(z, labels)
    return s[same & ~itself].mean()


def _against_everyone(z: Tensor, labels: Tensor) -> Tensor:
    s, same, itself = _parts(z, labels)
    return s[same & ~itself].mean() - s[~itself].mean()


CLASS_GAP_MISCONCEPTIONS = {
    "You compared each sample with itself too. That similarity is always 1; leave it out.": _with_itself,
    "You averaged over all pairs, with 0 where the pair does not count, as Eq. 11 is printed. Then the value depends "
    "on the number of classes (G1). Average over the pairs that count only.": _over_all_pairs,
    "Your sign is reversed: the gap is the same class minus different classes.": _reversed,
    "That is the tolerance alone. Subtract the mean similarity of samples of different classes.": _tolerance_only,
    "You subtracted the mean over all pairs. Subtract the mean over pairs of different classes only.": (
        _against_everyone
    ),
}


def _simplex(same: float = 1 / CLASSES, exponent: float = 4 * (1 - APART)) -> float:
    """-log of the mean potential: pairs of one class at distance 0, the others at squared distance 2 - 2 s."""
    return -math.log(same + (1 - same) * math.exp(-exponent))


SIMPLEX_MISCONCEPTIONS = {
    "You left out the pairs of one class. One pair in ten is at distance 0, with a potential of 1.": _simplex(same=0),
    "Your sign is reversed: this book prints -log, so that larger is more uniform.": -_simplex(),
    "You averaged the exponents. Average the potentials exp(-2 d^2) first, then take the logarithm.": (
        4 * (1 - APART) * (1 - 1 / CLASSES)
    ),
    "You used the distance. The potential holds its square, 2 - 2 s.": _simplex(exponent=2 * (2 - 2 * APART) ** 0.5),
    "You placed the classes at right angles. Ten corners that are all equally far apart stand at s = -1/9.": (
        _simplex(exponent=4.0)
    ),
    "You took the squared distance without t = 2 in the exponent.": _simplex(exponent=2 * (1 - APART)),
}

LUCK_MISCONCEPTIONS = {
    "That counts both temperatures on top. The question names the one that is.": 2 / 20,
    "You compared three pairs of runs, a coin each. But every run of one side must beat every run of the other.": 1 / 8,
    "You took nine pairs of runs for nine coins. They hang together: if one run beats a second and that a third, the "
    "first beats the third too.": 1 / 512,
    "That is the chance of one order of all six. Within a side the order does not matter: 3! times 3! orders count.": (
        1 / math.factorial(6)
    ),
    "The order among the top three does not matter: it can be had in 3! ways.": 1 / (6 * 5 * 4),
    "That is the chance that one run is the best of six. Then its two companions must follow.": 1 / 6,
    "Give a share from 0 to 1, not a percentage.": 5.0,
}

RATE_MISCONCEPTIONS = {
    "You went the wrong way. The push is four times as large at 0.05, so the rate must shrink.": RATE * WARM / COLD,
    "At an equal rate the steps are four times as large at 0.05, because the push is.": RATE,
    "You took the root. The push grows in proportion to 1 / tau itself.": RATE * (COLD / WARM) ** 0.5,
    "You took the square. The push grows in proportion to 1 / tau, once.": RATE * (COLD / WARM) ** 2,
    "You multiplied rate and temperature. It is their ratio that must stay.": RATE * COLD,
    "That is the ratio 0.12 / 0.2, which is to stay. Multiply it by the new temperature.": RATE / WARM,
    "That is by how much the rate must shrink. Give the rate.": COLD / WARM,
}
