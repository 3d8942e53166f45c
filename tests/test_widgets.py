"""The interactive figure in Python: its numbers, its errors, and the static twin that a notebook and the site carry."""

import json
import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from contrastlab.figures import tau_colour
from contrastlab.widgets import TemperatureFigure


def bundle(figure: TemperatureFigure) -> dict[str, object]:
    return figure._repr_mimebundle_()[0]


def test_figure_starts_with_a_hundred_even_similarities():
    figure = TemperatureFigure()
    assert len(figure.similarities) == 100
    assert (figure.similarities[0], figure.similarities[-1]) == (-1, 1)
    assert np.diff(figure.similarities) == pytest.approx(2 / 99, abs=1e-4)


def test_python_numbers_by_hand():
    figure = TemperatureFigure(tau=0.5, similarities=[0.5, 0.5, 0.0])
    weights = np.exp([1.0, 1.0, 0.0])
    r = weights / weights.sum()
    assert figure.r.dtype == torch.float64
    assert figure.r.tolist() == pytest.approx(r, abs=1e-12)
    assert figure.entropy == pytest.approx(-(r * np.log(r)).sum(), abs=1e-12)
    assert figure.effective_negatives == pytest.approx(math.exp(figure.entropy), abs=1e-12)
    assert figure.interval == 0.0  # the two at 0.5 hold 84 %


def test_similarities_may_be_a_tensor():
    figure = TemperatureFigure(similarities=torch.tensor([0.25, 0.5]))
    assert figure.similarities == [0.25, 0.5]


def test_message_from_the_browser_moves_the_python_side():
    figure = TemperatureFigure()
    before = figure.entropy
    figure.set_state({"tau": 0.5})
    assert figure.tau == 0.5
    assert figure.entropy > before


@pytest.mark.parametrize("tau", [0, -0.1, math.nan, math.inf])
def test_bad_temperature(tau):
    with pytest.raises(ValueError, match="temperature must be a finite number > 0, got tau"):
        TemperatureFigure(tau=tau)
    figure = TemperatureFigure()
    with pytest.raises(ValueError, match="temperature must be"):
        figure.tau = tau
    assert figure.tau == 0.07


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"similarities": [0.5, 3.2]}, r"cosines between -1 and 1, got 3\.2\. Divide each embedding by its length"),
        ({"similarities": [math.nan]}, "cosines between -1 and 1, got nan"),
        ({"similarities": []}, "similarities is empty, but the push needs at least one negative"),
        ({"similarities": [0.1, 0.2], "labels": ["coat"]}, "expected one label a negative: 2 similarities, got 1"),
    ],
)
def test_bad_similarities_and_labels(options, message):
    with pytest.raises(ValueError, match=message):
        TemperatureFigure(**options)


def test_labels_of_another_length_are_refused_however_they_come_to_be():
    figure = TemperatureFigure(similarities=[0.1, 0.2], labels=["coat", "boot"])
    with pytest.raises(ValueError, match="expected one label a negative: 1 similarities, got 2 labels"):
        figure.similarities = [0.5]
    with pytest.raises(ValueError, match="expected one label a negative"), figure.hold_trait_notifications():
        figure.similarities, figure.labels = [0.5], ["coat", "boot", "bag"]
    assert (figure.similarities, figure.labels) == ([0.1, 0.2], ["coat", "boot"])
    with figure.hold_trait_notifications():
        figure.similarities, figure.labels = [0.5], ["bag"]
    assert (figure.similarities, figure.labels) == ([0.5], ["bag"])
    figure.labels = []
    figure.similarities = [0.1, 0.2, 0.3]


def test_last_digit_of_another_processor_changes_nothing():
    exact, other = (TemperatureFigure(similarities=[0.3, 0.05 + noise, -0.7]) for noise in (0, 2e-16))
    assert bundle(exact)["text/html"] == bundle(other)["text/html"]


def test_cosine_that_float32_rounded_past_one_is_accepted():
    assert TemperatureFigure(similarities=[1.0000001]).interval == 1.0000001


def test_colours_are_the_books():
    colours = TemperatureFigure().colours
    taus = [tau for tau, _ in colours]
    assert taus == sorted(taus)
    assert all(colour == tau_colour(tau) for tau, colour in (colours[0], colours[-1]))
    assert colours[0][1] == tau_colour(0.001)
    assert colours[-1][1] == tau_colour(10)


class Twin(HTMLParser):
    """Reads a twin: the attributes of its outer element, its text, and whether every tag is closed in order."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open, self.outer, self.text, self.names = [], {}, [], set()
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attributes):
        if not self.open:
            self.outer = dict(attributes)
        self.names.update(name for name, _ in attributes)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_twin_carries_the_state_and_a_still_picture():
    figure = TemperatureFigure(tau=0.2, similarities=[0.9, -0.5], labels=['a "<b>" & c', "coat"])
    markup = bundle(figure)["text/html"]
    twin = Twin(markup)
    assert not twin.open
    assert (twin.outer["class"], twin.outer["data-module"]) == ("contrastlab-figure", "temperature.mjs")
    assert json.loads(twin.outer["data-model"]) == {
        "tau": 0.2,
        "similarities": [0.9, -0.5],
        "labels": ['a "<b>" & c', "coat"],
        "colours": figure.colours,
    }
    still = ElementTree.fromstring(re.search(r"<svg.*</svg>", markup)[0])
    assert still.get("role") == "img"
    assert "temperature τ = 0.200 | the hardest negative takes 100\u00a0%" in " ".join(twin.text)


def test_still_picture_has_a_dot_for_each_negative_above_the_lowest_share():
    figure = TemperatureFigure(tau=0.07)
    dots = bundle(figure)["text/html"].count("h0")
    assert dots == 2 * int((figure.r >= 1e-5).sum())  # each dot is drawn with its outline
    assert 0 < dots < 200


def test_twin_is_the_same_bytes_each_time_and_moves_with_tau():
    first, second = bundle(TemperatureFigure()), bundle(TemperatureFigure())
    assert first["text/html"] == second["text/html"]
    assert first["text/html"] != bundle(TemperatureFigure(tau=0.1))["text/html"]
    assert "id" not in Twin(first["text/html"]).names
    assert first["text/plain"] == second["text/plain"] == "TemperatureFigure(tau=0.07, K=100)"
    assert "application/vnd.jupyter.widget-view+json" in first


@pytest.mark.parametrize("tau", [0.001, 0.01, 10, 1000])
@pytest.mark.parametrize("similarities", [[0.3], [0.5] * 5, list(np.linspace(-1, 1, 2000))])
def test_still_picture_stays_in_its_frame(tau, similarities):
    markup = bundle(TemperatureFigure(tau=tau, similarities=similarities))["text/html"]
    assert "nan" not in markup.partition("data-model")[0] + markup.partition("<svg")[2]
    dots = re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", markup)
    assert dots
    assert all(62 <= float(x) <= 628 and 42 <= float(y) <= 258 for x, y in dots)
