"""The anatomy figure in Python: its numbers against closed forms, its errors, its twin, and what its tasks rest on."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from traitlets import TraitError

from contrastlab.hardness import feature_gradient
from contrastlab.widgets import AnatomyFigure
from contrastlab.widgets.anatomy import circle_forces, similarities
from contrastlab.widgets.anatomy_still import number
from contrastlab.widgets.figure import module_source

CHAPTER = {"positive": 36.9, "negatives": [53.1, -90, 180]}  # as chapters 2 and 3 show it


def random_angles(anchors: int, K: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * math.pi * torch.rand(anchors, 2 + K, generator=generator, dtype=torch.float64)


def test_numbers_by_hand():
    figure = AnatomyFigure(tau=0.5, positive=60, negatives=[90, 180])
    e = np.exp([0.5 / 0.5, 0.0, -1 / 0.5])
    P = e / e.sum()
    assert figure.s_pos == pytest.approx(0.5)
    assert figure.s_neg.tolist() == pytest.approx([0, -1])
    assert figure.P.tolist() == pytest.approx(P)
    assert figure.loss == pytest.approx(-math.log(P[0]))
    pull, push = -(1 - P[0]) / 0.5 * math.sin(math.pi / 3), P[1] / 0.5  # clockwise to the anchor, and away from it
    assert figure.forces.tolist() == pytest.approx([-pull - push, pull, push, 0])


@pytest.mark.parametrize("tau", [0.01, 0.1, 1.0, 10.0])
def test_forces_are_the_closed_form_of_eq_4(tau):
    angles = random_angles(500, 5)
    s_pos, s_neg = similarities(angles)
    P = torch.softmax(torch.cat([s_pos[:, None], s_neg], dim=1) / tau, dim=1)
    slopes = torch.cat([-P[:, 1:].sum(dim=1, keepdim=True), P[:, 1:]], dim=1) / tau  # of the loss by s, Eq. 4
    closed = slopes * (angles[:, 1:] - angles[:, :1]).sin()  # d cos(x) / dx = -sin(x), and downhill
    found = circle_forces(angles, tau)
    torch.testing.assert_close(found[:, 1:], closed, rtol=0, atol=1e-11)
    assert found.sum(dim=1).abs().max() < 1e-11  # only differences of angles count


def test_force_on_the_anchor_is_the_tangent_part_of_its_gradient():
    angles = random_angles(200, 4)
    z = torch.stack([angles.cos(), angles.sin()], dim=-1)  # (B, 2 + K, 2)
    downhill = -feature_gradient(z[:, 0], z[:, 1], z[:, 2:], 0.2)
    tangent = torch.stack([-angles[:, 0].sin(), angles[:, 0].cos()], dim=1)  # counter-clockwise
    torch.testing.assert_close(circle_forces(angles, 0.2)[:, 0], (downhill * tangent).sum(dim=1))


def test_angles_are_kept_within_half_a_turn_and_take_a_tensor():
    figure = AnatomyFigure(anchor=-180, positive=725.5, negatives=torch.tensor([-90.0, 180.0, 360.0]))
    assert (figure.anchor, figure.positive, figure.negatives) == (180, 5.5, [-90, 180, 0])


@pytest.mark.parametrize("degrees", [-180 + 1e-9, -179.9999996, 180 + 1e-12, -540 + 1e-10, 1e9 + 180])
def test_an_angle_is_never_minus_180_not_even_rounded(degrees):
    figure = AnatomyFigure(anchor=degrees)
    assert -180 < figure.anchor <= 180
    assert math.cos(math.radians(figure.anchor - degrees)) == pytest.approx(1)


def test_a_message_from_the_browser_moves_the_python_side_but_not_the_start():
    figure = AnatomyFigure(**CHAPTER)
    before = figure.loss
    figure.set_state({"negatives": [30, -90, 180]})
    assert figure.loss > before
    assert figure.start == {"tau": 0.3, "anchor": 0, "positive": 36.9, "negatives": [53.1, -90, 180]}
    assert figure.start_loss == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0}, "temperature must be a finite number > 0"),
        ({"positive": math.nan}, "positive is a place on the circle and must be a finite number of degrees, got nan"),
        ({"negatives": [0, math.inf]}, "each negative is a place on the circle .* got inf"),
        ({"negatives": []}, "room for 1 to 12 negatives, got 0"),
        ({"negatives": [0] * 13}, "room for 1 to 12 negatives, got 13"),
        ({"show": "pushes"}, "loss"),
    ],
)
def test_what_the_circle_cannot_show(options, message):
    with pytest.raises((ValueError, TraitError), match=message):
        AnatomyFigure(**options)


@pytest.mark.parametrize("show", ["loss", "forces"])
def test_twin_carries_the_state_and_a_still_picture_and_is_the_same_bytes_each_time(show):
    first, second = (AnatomyFigure(show=show, **CHAPTER)._repr_mimebundle_()[0] for _ in range(2))
    markup = first["text/html"]
    assert markup == second["text/html"]
    assert first["text/plain"] == second["text/plain"] == f"AnatomyFigure(tau=0.3, K=3, show={show!r})"
    element = ElementTree.fromstring(markup.replace("&nbsp;", " "))
    state = json.loads(element.get("data-model"))
    assert (element.get("data-module"), state["negatives"], state["start"]["positive"]) == (
        "anatomy.mjs",
        [53.1, -90, 180],
        36.9,
    )
    assert len(element.find("svg").findall("circle")) == 1 + 5  # the round and the points
    assert "nan" not in markup
    assert ('stroke-dasharray="2 4"' in markup) == (show == "loss")  # the shadows


def test_a_module_that_two_others_import_is_put_in_once():
    source = module_source("anatomy.mjs")
    assert "import {" not in source
    names = re.findall(r"^(?:export )?(?:async )?(?:function|const|let) (\w+)", source, re.MULTILINE)
    assert len(names) == len(set(names))
    assert {"tauControl", "circleOn", "termsIn", "contrastiveLoss"} <= set(names)


@pytest.mark.parametrize(
    ("x", "text"),
    [(14.42, "14.4"), (0.0357, "0.0357"), (2.688e43, "2.69·10⁴³"), (1e-5, "1.00·10⁻⁵"), (0, "0"), (1, "1")],
)
def test_numbers_are_written_with_three_digits(x, text):
    assert number(x) == text


def losses_along_the_circle(
    negative: int, tau: float, positive: float = 36.9
) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Degrees from the anchor; at each, the loss and the push when that negative of the chapters stands there."""
    degrees = np.arange(0, 180.01, 0.1)
    points = torch.tensor([0, positive, 53.1, -90, 180], dtype=torch.float64).repeat(len(degrees), 1)
    points[:, 2 + negative] = torch.from_numpy(degrees)
    angles = torch.deg2rad(points)
    s = (angles[:, 1:] - angles[:, :1]).cos()
    loss = (s / tau).logsumexp(dim=1) - s[:, 0] / tau
    return degrees, loss, circle_forces(angles, tau)[:, 2 + negative].abs()


def test_chapter_2_any_negative_doubles_the_loss_at_0_3_and_none_at_0_5():
    start = AnatomyFigure(tau=0.3, **CHAPTER)
    for negative in range(3):
        degrees, loss, _ = losses_along_the_circle(negative, 0.3)
        assert 24 <= degrees[loss >= 2 * start.loss].max() <= 39
        _, loss, _ = losses_along_the_circle(negative, 0.5)
        assert loss.max() < 2 * AnatomyFigure(tau=0.5, **CHAPTER).loss
    assert start.P[0] == pytest.approx(0.63, abs=0.005)
    assert start.P[0] ** 2 == pytest.approx(0.4, abs=0.005)  # the P at twice the loss


def test_chapter_3_every_negative_pushes_hardest_near_30_degrees():
    for negative in range(3):
        degrees, _, push = losses_along_the_circle(negative, 0.1)
        best = push.argmax()
        assert degrees[best] == pytest.approx(30, abs=0.6)
        s, tau = math.cos(math.radians(degrees[best])), 0.1
        P = push[best] * tau / math.sqrt(1 - s * s)
        assert (1 - P) / tau == pytest.approx(s / (1 - s * s), rel=0.02)  # the condition that the text gives
        assert push[0] == 0
        further, _, push = losses_along_the_circle(negative, 0.1, positive=90)
        assert further[push.argmax()] > degrees[best] + 3
