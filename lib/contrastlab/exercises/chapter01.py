"""Checks of chapter 1, Two views of one image."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .checking import check_function, check_number

CLASSES = 10
NEGATIVES = 2


def check_wins(answer: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Check a function h0 (N, d), h1 (N, d) -> (N,): 1 where an anchor finds its positive among all N second views."""
    check_function(
        answer,
        correct=_wins,
        cases=_cases(),
        misconceptions=WINS_MISCONCEPTIONS,
        right="Its mean is the accuracy of the game with N - 1 negatives.",
    )


def check_tie(answer: float | None) -> None:
    """Check the chance that an encoder that knows only the class wins against two negatives."""
    check_number(
        answer,
        correct=_chance_to_win(NEGATIVES),
        misconceptions=TIE_MISCONCEPTIONS,
        right=f"Against 100 negatives the same encoder would win only {100 * _chance_to_win(100):.0f} games in 100. "
        "The game asks for more than the class.",
        tolerance=0.001,
    )


def _cases() -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple(_pairs(n, seed) for n, seed in ((12, 44), (20, 2)))


def _pairs(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Raw vectors of very different length; the two of an image share half of their direction."""
    generator = torch.Generator().manual_seed(seed)
    shared, own0, own1 = torch.randn(3, n, 4, generator=generator, dtype=torch.float64)
    length0, length1 = torch.rand(2, n, 1, generator=generator, dtype=torch.float64) * 3 + 0.2
    return length0 * normalize(shared + own0, dim=1), length1 * normalize(shared + own1, dim=1)


def _similarities(h0: Tensor, h1: Tensor) -> Tensor:
    return normalize(h0, dim=1) @ normalize(h1, dim=1).T  # (N, d) @ (d, N) -> (N, N)


def _on_diagonal(best: Tensor) -> Tensor:
    return (best == torch.arange(len(best))).double()


def _wins(h0: Tensor, h1: Tensor) -> Tensor:
    return _on_diagonal(_similarities(h0, h1).argmax(dim=1))


def _rivals(h0: Tensor, h1: Tensor, fill: float) -> tuple[Tensor, Tensor]:
    """Each anchor's similarity to its positive (N,), and to all second views, with `fill` at the positive (N, N)."""
    s = _similarities(h0, h1)
    return s.diagonal(), s.masked_fill(torch.eye(len(s), dtype=torch.bool), fill)


def _beats_one(h0: Tensor, h1: Tensor) -> Tensor:
    s_pos, rivals = _rivals(h0, h1, torch.inf)
    return (s_pos > rivals.min(dim=1).values).double()


def _beats_the_mean(h0: Tensor, h1: Tensor) -> Tensor:
    s_pos, rivals = _rivals(h0, h1, 0.0)
    return (s_pos > rivals.sum(dim=1) / (len(rivals) - 1)).double()


def _beats_first_views_too(h0: Tensor, h1: Tensor) -> Tensor:
    _, first_views = _rivals(h0, h0, -torch.inf)
    return _wins(h0, h1) * (_similarities(h0, h1).diagonal() > first_views.max(dim=1).values)


WINS_MISCONCEPTIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "You compared the vectors as they come, so that a long one looks similar to all. Divide each by its length.": (
        lambda h0, h1: _on_diagonal((h0 @ h1.T).argmax(dim=1))
    ),
    "You compared distances between vectors as they come. Divide each by its length; then nearest is most similar.": (
        lambda h0, h1: _on_diagonal(torch.cdist(h0, h1).argmin(dim=1))
    ),
    "All your anchors win. If you compared h0 with h0, each found itself; the candidates are the second views, h1.": (
        lambda h0, h1: torch.ones(len(h0))
    ),
    "None of your anchors wins. If the positive is among its own rivals, it would have to beat itself.": (
        lambda h0, h1: torch.zeros(len(h0))
    ),
    "Your anchors are the second views. Each row of h0 is an anchor, so take the largest over the rows of h1.": (
        lambda h0, h1: _on_diagonal(_similarities(h0, h1).argmax(dim=0))
    ),
    "You picked the least similar candidate. A large similarity means alike, so take the largest.": (
        lambda h0, h1: _on_diagonal(_similarities(h0, h1).argmin(dim=1))
    ),
    "Beating one negative is not enough. The positive must be ahead of every one.": _beats_one,
    "Beating the average negative is not enough. The positive must be ahead of every one.": _beats_the_mean,
    "You let the other first views compete too. Here the candidates are the rows of h1 only.": _beats_first_views_too,
}


def _chance_to_win(negatives: int) -> float:
    """Mean of 1 / (1 + M), where M of the negatives share the anchor's class: a fair guess among the tied."""
    other = (1 - 1 / CLASSES) ** (negatives + 1)
    return CLASSES * (1 - other) / (negatives + 1)


TIE_MISCONCEPTIONS = {
    "Knowing the class is not enough to win always: a negative of the anchor's class ties with the positive.": 1.0,
    "That is a blind guess. The encoder does better: it rules out every negative of another class.": 1 / 3,
    "That is how often no negative shares the anchor's class. A tie is not lost: the guess is sometimes right.": 0.81,
    "That is the chance that one negative is of another class. There are two, and a tie can still be won.": 0.9,
    "That is the chance with one negative. Here there are two.": _chance_to_win(1),
    "You let every tie be a guess between two. If both negatives share the class, three tie.": 0.81 + 0.19 / 2,
    "You counted as ties only those of all three. One negative of the anchor's class is enough for a tie.": (
        0.99 + 0.01 / 3
    ),
    "That is how often not both negatives share the class. One is enough for a tie.": 0.99,
    "Give a share between 0 and 1, not a percentage.": 100 * _chance_to_win(NEGATIVES),
}
