"""Every interactive figure of the package, and what the tests that hold for all of them need to know of each."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from contrastlab import widgets
from contrastlab.widgets.figure import InteractiveFigure


@dataclass(frozen=True)
class Control:
    """What a control other than the temperature's does in Python: from the traits in `given` on, `trait` is `after`.

    trait: None for what Python does not know of. after: a value, a function of the value before, or None for any other.
    """

    trait: str | None
    after: object = None
    given: dict[str, object] = field(default_factory=dict)

    def has_worked(self, before: object, now: object) -> bool:
        if self.after is None:
            return now != before
        return now == pytest.approx(self.after(before) if callable(self.after) else self.after)


@dataclass(frozen=True)
class Entry:
    """numbers: data attribute of a figure's root element -> the same number by the library. options: to start with.

    python: traits that Python sets together, each time to show other numbers. controls: the name of a button, of a
    choice, or of what an arrow key moves -> what it does. moved: buttons to press, in this order, before the second of
    the stored pictures.
    """

    numbers: dict[str, Callable]
    python: tuple[dict[str, object], ...]
    controls: dict[str, Control] = field(default_factory=dict)
    moved: tuple[str, ...] = ("lower temperature",) * 3
    options: dict[str, object] = field(default_factory=dict)
    tolerance: float = 1e-6


def _next(by: float, place: int | None = None) -> Callable[[object], object]:
    """What adds to a number, or to the number at a place of a list."""
    if place is None:
        return lambda value: value + by
    return lambda values: [*values[:place], values[place] + by, *values[place + 1 :]]


CATALOGUE = {
    "AnatomyFigure": Entry(
        {
            "loss": lambda figure: figure.loss,
            "s": lambda figure: [figure.s_pos, *figure.s_neg.tolist()],
            "p": lambda figure: figure.P.tolist(),
            "forces": lambda figure: figure.forces.tolist(),
        },
        python=({"anchor": 20.0}, {"positive": 50.0}, {"negatives": [-30.0, 90.0]}),
        controls={
            "turn negative 1 clockwise": Control("negatives", _next(-5, 0)),
            "turn negative 1 counter-clockwise": Control("negatives", _next(5, 0)),
            "start again": Control("negatives", [60.0, 115.0, 180.0, -120.0, -70.0], {"negatives": [10.0, -90.0]}),
            "anchor": Control("anchor", _next(1)),
            "positive": Control("positive", _next(1)),
            **{f"negative {j + 1}": Control("negatives", _next(1, j), {"negatives": [10.0] * 5}) for j in range(5)},
        },
        moved=("lower temperature", "turn negative 1 clockwise", "turn negative 1 clockwise"),
    ),
    "TemperatureFigure": Entry(
        {
            "r": lambda figure: figure.r.tolist(),
            "entropy": lambda figure: figure.entropy,
            "effective": lambda figure: figure.effective_negatives,
            "interval": lambda figure: figure.interval,
        },
        python=({"similarities": [0.9, 0.5, -0.25]},),
    ),
    "TenTemperaturesFigure": Entry(
        {
            "neighbours": lambda figure: [neighbour.image for neighbour in figure.neighbours],
            "similarities": lambda figure: [neighbour.similarity for neighbour in figure.neighbours],
            "means": lambda figure: list(figure.mean_similarities),
            "meanOwn": lambda figure: figure.mean_own_class,
        },
        python=({"image": 7},),
        controls={
            "previous image": Control("image", _next(-1)),
            "next image": Control("image", _next(1)),
            "image on the map": Control("image"),
        },
        tolerance=2e-5,  # similarities travel as int16
    ),
    "WorldFigure": Entry(
        {
            "uniformity": lambda figure: figure.uniformity,
            "tolerance": lambda figure: figure.tolerance,
            "rank": lambda figure: figure.effective_rank,
            "balance": lambda figure: figure.length_of_mean,
        },
        python=(
            {"steps": 12},
            {"loss": "hard_contrastive", "steps": 10},
            {"loss": "hard_simple", "seed": 3, "steps": 2},
            {"n": 200},
        ),
        controls={
            "Play": Control("playing", True, {"playing": False}),
            "Pause": Control("playing", False, {"playing": True}),
            "Step": Control("steps", _next(1)),
            "Reset": Control("steps", 0, {"steps": 7}),
            "previous seed": Control("seed", 4, {"seed": 5}),
            "next seed": Control("seed", _next(1)),
            "Loss": Control("loss", "simple", {"loss": "contrastive"}),
            "turn of the sphere, in degrees": Control(None),
        },
        moved=("lower temperature", *["Step"] * 5),
        options={"playing": False},  # numbers that stand still can be compared
    ),
}
FIGURES = {
    name: figure
    for name, figure in sorted(vars(widgets).items())
    if isinstance(figure, type) and issubclass(figure, InteractiveFigure)
}


def make(name: str) -> InteractiveFigure:
    """The figure as the tests start it."""
    return FIGURES[name](**CATALOGUE[name].options)


def css_class(name: str) -> str:
    """The class of the figure's root element in a browser."""
    return "contrastlab-" + FIGURES[name].MODULE.removesuffix(".mjs").replace("_", "-")


def library_numbers(figure: InteractiveFigure) -> dict[str, object]:
    """tau and the figure's numbers as the library computes them."""
    numbers = CATALOGUE[type(figure).__name__].numbers
    return {"tau": figure.tau} | {name: number(figure) for name, number in numbers.items()}


def shown_numbers(root, name: str) -> dict[str, object]:
    """The same numbers as a figure in the browser tells them on its root element, in full precision."""
    told = root.evaluate("(root) => ({ ...root.dataset })")
    return {number: json.loads(told[number]) for number in ("tau", *CATALOGUE[name].numbers)}


def differences(found: dict[str, object], expected: dict[str, object], name: str) -> list[str]:
    """The numbers of the figure that differ by more than its tolerance."""
    return [number for number in expected if not _near(found[number], expected[number], CATALOGUE[name].tolerance)]


def _near(found: object, expected: object, tolerance: float) -> bool:
    found, expected = np.atleast_1d(found), np.atleast_1d(expected)
    return found.shape == expected.shape and bool(np.allclose(found, expected, rtol=0, atol=tolerance))


def tau_in_text(root) -> float:
    """The temperature that a reader reads below the figure."""
    return float(re.search(r"τ = ([\d.]+)", root.locator(".numbers").inner_text())[1])
