"""Chapter 1: what learners would write gets the right message, and its game is the one that the exercise checks."""

import itertools

import jupytext
import pytest
import torch
from torch.nn.functional import normalize

from contrastlab.exercises import chapter01
from contrastlab.files import repository_root


def game_of_the_chapter():
    """The game as the chapter writes it out, without the rest of its cell."""
    source = repository_root() / "chapters" / "01-two-views-of-one-image.md"
    cell = next(c.source for c in jupytext.read(source, fmt="md:myst").cells if "def game(" in c.source)
    namespace = {"torch": torch}
    exec(cell[: cell.index("for K in")], namespace)
    return namespace["game"]


GAME = game_of_the_chapter()


def wins_by_loops(h0, h1, unit=True, pick=max, first_views=False):
    """Anchor by anchor, as a cautious learner would."""
    z0, z1 = (normalize(h, dim=1) if unit else h for h in (h0, h1))
    wins = []
    for i in range(len(z0)):
        s = {j: float(z0[i] @ z1[j]) for j in range(len(z1))}
        if first_views:
            s |= {-1 - j: float(z0[i] @ z0[j]) for j in range(len(z0)) if j != i}
        wins.append(float(pick(s, key=s.get) == i))
    return torch.tensor(wins)


def margin(h0, h1, rival, candidates=None):
    """Where the positive is ahead of rival(all negatives), a comparison instead of an argmax."""
    s = normalize(h0, dim=1) @ normalize(h1 if candidates is None else candidates, dim=1).T
    negatives = s[~torch.eye(len(s), dtype=torch.bool)].view(len(s), -1)
    return (s.diagonal() > rival(negatives)).float()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wins_by_loops, "Right."),
        (lambda h0, h1: wins_by_loops(h0, h1).bool(), "Right."),
        (lambda h0, h1: margin(h0, h1, lambda s: s.max(dim=1).values), "Right."),
        (lambda h0, h1: wins_by_loops(h0, h1, unit=False), "a long one looks similar to all"),
        (lambda h0, h1: (torch.cdist(h0, h1).argmin(dim=1) == torch.arange(len(h0))).float(), "compared distances"),
        (lambda h0, h1: wins_by_loops(h0, h0), "each found itself"),
        (lambda h0, h1: wins_by_loops(h1, h0), "anchors are the second views"),
        (lambda h0, h1: wins_by_loops(h0, h1, pick=min), "least similar"),
        (lambda h0, h1: wins_by_loops(h0, h1, first_views=True), "other first views compete"),
        (lambda h0, h1: margin(h0, h1, lambda s: s.min(dim=1).values), "Beating one negative"),
        (lambda h0, h1: margin(h0, h1, lambda s: s.mean(dim=1)), "Beating the average negative"),
        (lambda h0, h1: 0 * wins_by_loops(h0, h1), "have to beat itself"),
        (lambda h0, h1: wins_by_loops(h0, h1).mean(), "has shape ()"),
        (lambda h0, h1: 100 * wins_by_loops(h0, h1), "expected is"),
    ],
)
def test_wins(answer, words, capsys):
    chapter01.check_wins(answer)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.903, "Right."),
        (0.9033333, "Right."),
        (1, "ties with the positive"),
        (0.333, "blind guess"),
        (0.81, "A tie is not lost"),
        (0.9, "one negative is of another class"),
        (0.95, "chance with one negative"),
        (0.905, "three tie"),
        (0.993, "enough for a tie"),
        (0.99, "not both negatives"),
        (90.33, "not a percentage"),
        (0.5, "below the answer"),
    ],
)
def test_tie(answer, words, capsys):
    chapter01.check_tie(answer)
    assert words in capsys.readouterr().out


def test_the_chance_to_win_is_that_of_every_case_counted(capsys):
    cases = itertools.product(range(10), repeat=2)  # classes of two negatives; the anchor's is 0
    shares = [1 / (1 + case.count(0)) for case in cases]
    chapter01.check_tie(sum(shares) / len(shares))
    assert capsys.readouterr().out.startswith("Right. ")


def test_the_game_of_the_chapter_counts_the_wins_of_the_exercise(capsys):
    generator = torch.Generator().manual_seed(0)
    h0 = torch.randn(50, 4, generator=generator)
    h1 = h0 + torch.randn(50, 4, generator=generator)
    z0, z1 = normalize(h0, dim=1), normalize(h1, dim=1)
    assert 0 < GAME(z0, z1, 49) == pytest.approx(100 * wins_by_loops(h0, h1).mean().item())


def test_the_game_with_few_negatives_takes_the_next_images():
    z0 = torch.eye(4)
    z1 = torch.tensor([[0.5, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])  # image 2 leads at anchor 0
    assert [GAME(z0, z1, K) for K in (1, 2, 3)] == [100, 75, 75]
