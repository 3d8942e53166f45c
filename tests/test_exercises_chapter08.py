"""Chapter 8: what learners would write gets the right message, and what the chapter writes out is what it says."""

import math

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from contrastlab import hardness, losses
from contrastlab.exercises import chapter08
from contrastlab.files import repository_root
from contrastlab.negatives import in_batch


def functions_of_the_chapter(*names):
    """The functions that the chapter writes out, each cut from its cell."""
    cells = [
        cell.source
        for cell in jupytext.read(repository_root() / "chapters/08-hard-negatives-on-purpose.md", fmt="md:myst").cells
        if cell.cell_type == "code"
    ]
    namespace = {"torch": torch, "normalize": normalize}
    for name in names:
        cell = next(source for source in cells if f"def {name}(" in source)
        function = cell[cell.index(f"def {name}(") :].split("\n\n")[0]
        exec(function, namespace)
    return namespace


CHAPTER = functions_of_the_chapter("hardest", "shrink")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 30), st.floats(0.01, 1.0), st.integers(0, 99))
def test_hardest_as_written_out_agrees_with_the_library(b, K, alpha, seed):
    s_neg = torch.rand(b, K, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    ours = CHAPTER["hardest"](s_neg, alpha).sort(dim=1).values
    assert torch.equal(ours, losses.hardest(s_neg, alpha=alpha).sort(dim=1).values)


def tight_views(share_of_noise, seed=0, n=60, d=16):
    """Two views each of n images, all close to one direction; the noise between views is a share of the spread."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(n, d, generator=generator, dtype=torch.float64)
    axis = torch.zeros(d, dtype=torch.float64)
    axis[0] = 100.0
    noise = share_of_noise * torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return normalize(axis + image + noise, dim=2)


@pytest.mark.parametrize(("noise", "above"), [(0.1, False), (2.0, True)])
def test_shrinking_takes_a_loss_to_that_of_a_collapsed_cloud_from_the_side_of_its_sign(noise, above):
    """Noise decides whether the hardest views are nearer than the second view. Distances of half the size: a quarter
    of the hard simple loss; and the hard contrastive loss runs monotonically to log(1 + k) from the same side."""
    z0, z1 = tight_views(noise)
    z = torch.cat([z0, z1])
    scales = (1.0, 0.5, 0.25)
    similarities = [in_batch(*CHAPTER["shrink"](z, scale).chunk(2)) for scale in scales]
    simple = [losses.hard_simple_loss(*s, alpha=0.1).mean() for s in similarities]
    assert (simple[0] > 0) == above
    assert simple[1] / simple[0] == pytest.approx(1 / 4, rel=1e-2)
    assert simple[2] / simple[0] == pytest.approx(1 / 16, rel=1e-2)
    k = round(0.1 * 118)
    contrastive = [losses.hard_contrastive_loss(*s, 0.3, alpha=0.1).mean() - math.log(1 + k) for s in similarities]
    assert [bool(excess > 0) for excess in contrastive] == [above] * 3
    assert abs(contrastive[0]) > abs(contrastive[1]) > abs(contrastive[2])


def penalty_by_autograd(s_neg, tau, k):
    """The hard contrastive loss's own gradients, as a cautious learner would take them."""
    s_neg = s_neg.clone().requires_grad_()
    s_pos = torch.zeros(len(s_neg), dtype=s_neg.dtype, requires_grad=True)
    losses.hard_contrastive_loss(s_pos, s_neg, tau, k=k).sum().backward()
    return s_neg.grad / -s_pos.grad[:, None]


def by_threshold(s_neg, tau, k, drop=-math.inf, descending=True):
    ordered = s_neg.sort(dim=1, descending=descending).values
    keep = s_neg >= ordered[:, k - 1 : k] if descending else s_neg <= ordered[:, k - 1 : k]
    return torch.softmax(s_neg.where(keep, torch.tensor(drop, dtype=s_neg.dtype)) / tau, dim=1)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (penalty_by_autograd, "Right."),
        (by_threshold, "Right."),
        (lambda s, tau, k: by_threshold(s, tau, k, drop=0.0), "still counts e^0"),
        (lambda s, tau, k: by_threshold(s, tau, k, descending=False), "least similar"),
        (lambda s, tau, k: hardness.relative_penalty(s, tau), "nothing was dropped"),
        (
            lambda s, tau, k: hardness.relative_penalty(s, tau) * (by_threshold(s, tau, k) > 0),
            "must add up to 1 again",
        ),
        (lambda s, tau, k: (by_threshold(s, tau, k) > 0) / k, "same share"),
        (lambda s, tau, k: by_threshold(s, 1.0, k), "left out the temperature"),
        (lambda s, tau, k: by_threshold(s, tau, k + 1), "one negative too many"),
        (lambda s, tau, k: s.topk(k, dim=1).values.div(tau).softmax(dim=1), "shape"),
    ],
)
def test_penalty(answer, words, capsys):
    chapter08.check_penalty(answer)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (math.log(154), "Right."),
        (5.04, "Right."),
        (5.037, "Right."),
        (5.030, "forgot the positive"),
        (6.236, "all 510"),
        (4.357, "A batch of 256 images"),
        (0.0, "hard simple loss stands"),
        (153, "blind guess"),
        (7.0, "above the answer"),
    ],
)
def test_collapsed(answer, words, capsys):
    chapter08.check_collapsed(answer)
    assert words in capsys.readouterr().out


def test_the_collapsed_number_is_that_of_a_batch_of_one_point():
    z = normalize(torch.ones(256, 8, dtype=torch.float64), dim=1)
    loss = losses.hard_contrastive_loss(*in_batch(z, z), 0.3, alpha=0.3).mean()
    assert loss.item() == pytest.approx(math.log(1 + chapter08.KEPT))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.0559, "Right."),
        (4095 / 73256, "Right."),
        (0.056, "Right."),
        (0.0819, "50,000 images"),
        (0.0315, "that the paper prints"),
        (2308, "asked for"),
        (5.59, "percentage"),
        (0.02795, "not two views"),
        (0.5, "above the answer"),
    ],
)
def test_share(answer, words, capsys):
    chapter08.check_share(answer)
    assert words in capsys.readouterr().out
