"""Every interactive figure of the package, and what the tests that hold for all of them need to know of each."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from contrastlab import widgets
from contrastlab.widgets.figure import InteractiveFigure


@dataclass(frozen=True)
class Entry:
    """numbers: data attribute of a figure's root element -> the same number by the library. options: to start with."""

    numbers: dict[str, Callable]
    options: dict[str, object] = field(default_factory=dict)
    tolerance: float = 1e-6


CATALOGUE = {
    "AnatomyFigure": Entry(
        {
            "loss": lambda figure: figure.loss,
            "s": lambda figure: [figure.s_pos, *figure.s_neg.tolist()],
            "p": lambda figure: figure.P.tolist(),
            "forces": lambda figure: figure.forces.tolist(),
        }
    ),
    "TemperatureFigure": Entry(
        {
            "r": lambda figure: figure.r.tolist(),
            "entropy": lambda figure: figure.entropy,
            "effective": lambda figure: figure.effective_negatives,
            "interval": lambda figure: figure.interval,
        }
    ),
    "TenTemperaturesFigure": Entry(
        {
            "neighbours": lambda figure: [neighbour.image for neighbour in figure.neighbours],
            "similarities": lambda figure: [neighbour.similarity for neighbour in figure.neighbours],
            "means": lambda figure: list(figure.mean_similarities),
            "meanOwn": lambda figure: figure.mean_own_class,
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
