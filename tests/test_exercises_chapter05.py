"""Chapter 5: what it writes out is right, and what its prose says of free points holds; its exercises name mistakes."""

import ast
import math
from functools import partial

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from contrastlab import geometry
from contrastlab.exercises import chapter05
from contrastlab.files import repository_root
from contrastlab.losses import contrastive_loss, simple_loss


def functions_of_the_chapter():
    """Its imports and functions, without running anything else of it."""
    namespace = {}
    for cell in jupytext.read(repository_root() / "chapters" / "05-a-world-of-points.md", fmt="md:myst").cells:
        if cell.cell_type == "code" and "solution" not in cell.metadata.get("tags", []):
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
            body = [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
            exec(compile(ast.Module(body, type_ignores=[]), "chapter 5", "exec"), namespace)
    return namespace


CHAPTER = functions_of_the_chapter()
split, flow, mean_loss = CHAPTER["split"], CHAPTER["flow"], CHAPTER["mean_loss"]


def cloud(n, d, seed, shift=0.3):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(n, d, generator=generator, dtype=torch.float64) + shift, dim=1)


def ring(n):
    return CHAPTER["circle"](torch.arange(n, dtype=torch.float64) * 2 * math.pi / n)


def downhill(loss, z):
    free = z.clone().requires_grad_()
    unit = normalize(free, dim=1)
    (gradient,) = torch.autograd.grad(loss(*split(unit @ unit.T)).sum(), free)
    return -gradient


def test_split_gives_each_point_itself_as_positive_and_all_others_as_negatives():
    s_pos, s_neg = split(torch.arange(9.0).view(3, 3))
    assert s_pos.tolist() == [0, 4, 8]
    assert s_neg.tolist() == [[1, 2], [3, 5], [6, 7]]


def test_flow_lowers_the_loss_on_the_sphere():
    loss = partial(contrastive_loss, tau=0.3)
    path = flow(cloud(12, 3, 0), loss, 20, lr=0.02)
    losses = torch.tensor([mean_loss(loss, z) for z in path])
    assert len(path) == 21 and (losses.diff() < 0).all()
    torch.testing.assert_close(path[-1].norm(dim=1), torch.ones(12, dtype=torch.float64))


@settings(deadline=None)
@given(n=st.integers(2, 30), d=st.integers(2, 6), seed=st.integers(0, 99))
def test_the_simple_loss_of_aligned_points_sees_the_length_of_their_mean_only(n, d, seed):
    z = cloud(n, d, seed)
    expected = -1 + (n * z.mean(dim=0).norm().item() ** 2 - 1) / (n - 1)
    assert mean_loss(simple_loss, z) == pytest.approx(expected)


def test_the_simple_loss_pushes_every_point_along_one_and_the_same_vector():
    z = cloud(10, 4, 1)
    m = z.mean(dim=0)
    push = -2 * 10 / 9 * m
    torch.testing.assert_close(downhill(simple_loss, z), push - (z @ push)[:, None] * z)


@settings(deadline=None)
@given(n=st.integers(2, 40), d=st.integers(2, 6), seed=st.integers(0, 99))
def test_uniformity_with_self_counts_n_more_pairs_and_stays_below_the_ceiling(n, d, seed):
    z = cloud(n, d, seed)
    U = CHAPTER["uniformity_with_self"](z)
    assert math.exp(-U) == pytest.approx(((n - 1) * math.exp(-geometry.uniformity(z)) + 1) / n)
    assert geometry.uniformity_ceiling(d) + 1e-9 >= U


@pytest.mark.parametrize("tau", [0.07, 0.3, 1.0])
def test_the_ring_is_at_rest_at_every_temperature(tau):
    assert downhill(partial(contrastive_loss, tau=tau), ring(24)).abs().max() < 1e-9
    assert CHAPTER["closest"](ring(24)) == pytest.approx(1)


@pytest.fixture
def bunches():
    jitter = 0.1 * torch.randn(24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return CHAPTER["circle"](torch.tensor([0.0, 1.0, 2.0]).double().repeat_interleave(8) + jitter)


def test_too_much_variance_term_draws_the_bunches_together(bunches):
    end = flow(bunches, partial(CHAPTER["with_variance"], tau=0.3), 300, lr=0.05)[-1]
    assert CHAPTER["length_of_mean"](end) > CHAPTER["length_of_mean"](bunches) + 0.1
    assert CHAPTER["uniformity_with_self"](end) < CHAPTER["uniformity_with_self"](bunches)


@pytest.mark.parametrize("tau", [0.3, 1.0])
def test_the_ring_has_a_lower_loss_than_where_the_warm_runs_stand(tau, bunches):
    loss = partial(contrastive_loss, tau=tau)
    end = flow(bunches, loss, 1000, lr=0.05 * tau)[-1]
    assert CHAPTER["length_of_mean"](end) < 0.01
    assert mean_loss(loss, ring(24)) < mean_loss(loss, end) < mean_loss(loss, bunches)


def test_the_variance_does_not_tell_three_bunches_from_a_ring():
    bunches = ring(3).repeat_interleave(300, dim=0)
    for z in (bunches, ring(900)):
        s = z @ z.T
        assert s.mean().item() == pytest.approx(0, abs=1e-9)
        assert s.var(correction=0).item() == pytest.approx(0.5)


def from_mean(z, off=1, others=1):
    n, m = len(z), z.mean(dim=0)
    return -1 + (n * m @ m - off) / (n - others)


# What learners would write, each with words of the message that it must get.
WRITTEN_BY_LEARNERS = [
    (chapter05.check_simple, lambda z: from_mean(z, off=0, others=0), "counts every point among its own"),
    (chapter05.check_simple, lambda z: from_mean(z, off=0), "still in the sum"),
    (chapter05.check_simple, lambda z: from_mean(z, others=0), "still divide by n"),
    (chapter05.check_simple, lambda z: from_mean(z) + 1, "positive is missing"),
    (chapter05.check_simple, lambda z: split(z @ z.T)[1].mean(dim=1) - 1, "has shape"),
    (chapter05.check_simple, lambda z: z.mean(), "expected is"),
    (chapter05.check_variance, 0.56, "weighed 1 and -1/2 alike"),
    (chapter05.check_variance, 0.707, "standard deviation"),
    (chapter05.check_variance, 0.4, "below the answer"),
]


@pytest.mark.parametrize(("check", "answer", "words"), WRITTEN_BY_LEARNERS, ids=[row[2] for row in WRITTEN_BY_LEARNERS])
def test_a_learner_who_writes_it_gets_the_message(check, answer, words, capsys):
    check(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet. ") and words in printed


def test_another_right_answer_passes_too(capsys):
    chapter05.check_simple(lambda z: simple_loss(*split(z @ z.T)).mean())
    chapter05.check_variance(0.5)
    assert capsys.readouterr().out.count("Right. ") == 2
