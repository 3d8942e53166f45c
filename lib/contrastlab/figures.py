"""The book's figure style, set in one place: one colour a temperature, bands over seeds, the same type everywhere.

The interactive figures follow it: sizes and line widths stand in widgets/common.mjs, which both read.
"""

import json
import re
from collections.abc import Sequence
from importlib.resources import files

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex

TAU_COLDEST, TAU_WARMEST = 0.01, 2.0
# Even steps in OKLab at nearly one lightness: every colour is 4.5 : 1 on white, so that text may have it, and 3 : 1 on
# the site's dark page, where interactive figures draw it as it is.
TAU_COLOURS = (
    "#0664c7", "#2e5ad8", "#574ed5", "#7344cc", "#8a3bbf", "#9e33ac", "#ae2b96",
    "#bc247c", "#c6215f", "#cc243e", "#ce3107", "#bf4e08", "#b06308",
)  # fmt: skip
_SCALE = LinearSegmentedColormap.from_list("temperature", TAU_COLOURS)

INK = "#333333"
MUTED = "#767676"  # 4.5 : 1 on white, for reference lines and notes


def _shared_style() -> dict[str, float]:
    """STYLE of widgets/common.mjs: CSS pixels on the page."""
    text = files("contrastlab").joinpath("widgets", "common.mjs").read_text(encoding="utf-8")
    return json.loads(re.search(r"^export const STYLE = (\{.*?\});", text, re.MULTILINE | re.DOTALL)[1])


_SHARED = _shared_style()
_PAGE_WIDTH, _USUAL_WIDTH = 704, 8  # CSS pixels, and inches of a usual figure, which the page scales to its own width
_POINT = 72 * _USUAL_WIDTH / _PAGE_WIDTH  # points that such a figure needs for one CSS pixel

_STYLE = {
    "figure.figsize": (6.4, 3.6),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": _SHARED["text"] * _POINT,
    "axes.titlesize": _SHARED["title"] * _POINT,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "lines.linewidth": _SHARED["line"] * _POINT,
    "legend.frameon": False,
}


def use_style() -> None:
    """Set the book's figure style for all figures that follow."""
    mpl.rcParams.update(_STYLE)


def tau_colour(tau: float) -> str:
    """The book's colour of a temperature as "#rrggbb": blue for 0.01, through violet and red, to orange for 2.

    Even in log tau and told apart with any colour vision; lightness hardly changes, so that all are read equally well
    as lines and as text, on a light page and on a dark one. Outside the range, the nearest end's colour.
    """
    position = np.log(tau / TAU_COLDEST) / np.log(TAU_WARMEST / TAU_COLDEST)
    return to_hex(_SCALE(float(np.clip(position, 0, 1))))


def band(ax: Axes, x: Sequence[float], rows: np.ndarray, *, label: str = "", colour: str = INK) -> None:
    """Draw mean and full range over seeds against x, with one point a run.

    rows: (seeds, len(x)). Every run is drawn as a dot, the line is the mean and the band reaches from the lowest to the
    highest seed, so that a single run never looks like a law.
    """
    rows = np.asarray(rows)
    ax.fill_between(x, rows.min(axis=0), rows.max(axis=0), color=colour, alpha=0.18, linewidth=0)
    ax.plot(x, rows.mean(axis=0), color=colour, label=label)
    ax.plot(x, rows.T, ".", color=colour, markersize=4, alpha=0.7)


def tau_axis(ax: Axes, taus: Sequence[float]) -> None:
    """Make x a logarithmic axis of temperatures, with one tick a temperature in its own colour."""
    ax.set_xscale("log")
    ax.set_xticks(list(taus), [f"{tau:g}" for tau in taus], rotation=45)
    ax.minorticks_off()
    ax.set_xlabel(r"temperature $\tau$")
    for tau, tick in zip(taus, ax.get_xticklabels(), strict=True):
        tick.set_color(tau_colour(tau))
        tick.set_fontweight("bold")


def new(title: str, xlabel: str, ylabel: str, **options: object) -> tuple[plt.Figure, Axes]:
    """One axes with its message as title and its two labels; options go to plt.subplots."""
    figure, ax = plt.subplots(**options)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return figure, ax
