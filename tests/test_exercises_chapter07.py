"""Chapter 7: what learners would write gets the right message, and its measures agree with the library's."""

from itertools import permutations

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from contrastlab import geometry
from contrastlab.exercises import chapter07
from contrastlab.files import repository_root
from contrastlab.losses import contrastive_loss


def measures_of_the_chapter():
    """uniformity and tolerance as the chapter writes them out, without the rest of their cell."""
    source = repository_root() / "chapters" / "07-ten-temperatures.md"
    cell = next(c.source for c in jupytext.read(source, fmt="md:myst").cells if "def uniformity(" in c.source)
    namespace = {"torch": torch}
    exec(cell[: cell.index("normalise =")], namespace)
    return namespace


MEASURES = measures_of_the_chapter()


@settings(deadline=None)
@given(st.integers(2, 40), st.integers(2, 9), st.integers(0, 99))
def test_the_measures_written_out_agree_with_the_library(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    z = normalize(torch.randn(n, d, generator=generator, dtype=torch.float64), dim=1)
    labels = torch.randint(2, (n,), generator=generator)
    labels[:2] = 0
    assert MEASURES["uniformity"](z) == pytest.approx(geometry.uniformity(z), abs=1e-9)
    assert MEASURES["tolerance"](z, labels) == pytest.approx(geometry.tolerance(z, labels), abs=1e-9)


def gap_by_loops(z, labels, itself=False, sign=1.0):
    """Pair by pair, as a cautious learner would."""
    same, different = [], []
    for i in range(len(z)):
        for j in range(len(z)):
            if i != j or itself:
                (same if labels[i] == labels[j] else different).append(z[i] @ z[j])
    return sign * (torch.stack(same).mean() - torch.stack(different).mean())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gap_by_loops, "Right."),
        (lambda z, labels: gap_by_loops(z, labels, itself=True), "with itself"),
        (lambda z, labels: gap_by_loops(z, labels, sign=-1.0), "sign is reversed"),
        (lambda z, labels: torch.tensor(geometry.tolerance(z, labels)), "tolerance alone"),
        (lambda z, labels: 2 * gap_by_loops(z, labels), "expected is"),
        (lambda z, labels: float(gap_by_loops(z, labels)), "Return a tensor"),
    ],
)
def test_class_gap(answer, words, capsys):
    chapter07.check_class_gap(answer)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (2.20, "Right."),
        (2.202, "Right."),
        (4.444, "left out the pairs of one class"),
        (-2.202, "sign is reversed"),
        (4.0, "Average the potentials"),
        (1.926, "You used the distance"),
        (2.150, "right angles"),
        (1.0, "below the answer"),
    ],
)
def test_simplex(answer, words, capsys):
    chapter07.check_simplex(answer)
    assert words in capsys.readouterr().out


def test_the_simplex_number_is_that_of_many_points_on_ten_corners():
    corners = normalize(torch.eye(10, dtype=torch.float64) - 0.1, dim=1)
    z = corners.repeat(400, 1)
    assert geometry.uniformity(z) == pytest.approx(2.202, abs=0.005)
    assert geometry.tolerance(z, torch.arange(10).repeat(400)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (chapter07.check_luck, 0.05, "Right."),
        (chapter07.check_luck, 0.1, "both temperatures on top"),
        (chapter07.check_luck, 0.125, "a coin each"),
        (chapter07.check_luck, 0.5**9, "hang together"),
        (chapter07.check_luck, 0.3, "above the answer"),
        (chapter07.check_rate, 0.03, "Right."),
        (chapter07.check_rate, 0.48, "the wrong way"),
        (chapter07.check_rate, 0.06, "took the root"),
        (chapter07.check_rate, 0.02, "below the answer"),
    ],
)
def test_luck_and_rate(check, answer, words, capsys):
    check(answer)
    assert words in capsys.readouterr().out


def test_the_chance_is_that_of_all_orders_counted(capsys):
    orders = [*permutations(range(6))]  # ranks of runs 0 to 2 of one side, 3 to 5 of the other
    chapter07.check_luck(sum(min(order[:3]) > max(order[3:]) for order in orders) / len(orders))
    assert "Right." in capsys.readouterr().out


def test_the_rate_keeps_the_push_of_a_saturated_loss(capsys):
    """At P_ii = 0 autograd's push times the rate is the same at both temperatures."""
    push = {}
    for tau in (0.2, 0.05):
        s_pos = torch.zeros(1, dtype=torch.float64, requires_grad=True)
        contrastive_loss(s_pos, torch.full((1, 5000), 0.99, dtype=torch.float64), tau).backward()
        push[tau] = s_pos.grad.abs().item()
    chapter07.check_rate(0.12 * push[0.2] / push[0.05])
    assert "Right." in capsys.readouterr().out
