"""The book's figure style, set in one place: one colour a temperature, bands over seeds, the same type everywhere."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

TAU_COLDEST, TAU_WARMEST = 0.01, 2.0
_SCALE = mpl.colormaps["plasma"]
_SCALE_END = 0.85  # beyond it plasma turns yellow, too pale on white

INK = "#333333"
MUTED = "#767676"  # 4.5 : 1 on white, for reference lines and notes

_STYLE = {
    "figure.figsize": (6.4, 3.6),
    "figure.dpi": 110,
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
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
    "lines.linewidth": 2,
    "legend.frameon": False,
}


def use_style() -> None:
    """Set the book's figure style for all figures that follow."""
    mpl.rcParams.update(_STYLE)


def tau_colour(tau: float) -> str:
    """The book's colour of a temperature as "#rrggbb": deep blue for 0.01, through violet and red, to orange for 2.

    Even in log tau and in perceived lightness, so that it survives colour-blindness and grey printing. Temperatures
    outside the range get the nearest end's colour.
    """
    position = np.log(tau / TAU_COLDEST) / np.log(TAU_WARMEST / TAU_COLDEST)
    return to_hex(_SCALE(_SCALE_END * float(np.clip(position, 0, 1))))


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
