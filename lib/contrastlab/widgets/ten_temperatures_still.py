"""The still picture of the figure of chapter 7: three of the ten maps side by side, and the numbers of one as text."""

from typing import TYPE_CHECKING

import numpy as np

from ..figures import tau_colour
from .drawing import rounded
from .ten_temperatures_data import GLYPHS

if TYPE_CHECKING:
    from .ten_temperatures import Spread, TenTemperaturesFigure

MAP, GAP, HEAD = 230, 15, 26  # px: a map's side, between maps, and above them
WIDTH = 3 * MAP + 2 * GAP
LEGEND_ROW, LEGEND_COLUMN = 18, WIDTH // 5
HEIGHT = HEAD + MAP + 2 * LEGEND_ROW + 8
MIDDLE = 4  # of the ten temperatures: 0.15, where the embeddings are most uniform


def draw_still(figure: "TenTemperaturesFigure") -> str:
    """An SVG, the figure's numbers and where it moves, as HTML without ids or any other random part.

    Coordinates are whole tenths of a pixel of maps that are kept as integers: the same bytes on every machine.
    """
    shown = figure.recorded
    taus = shown.temperatures
    maps = [_map(figure, t, i * (MAP + GAP)) for i, t in enumerate((0, MIDDLE, len(taus) - 1))]
    names = "".join(_legend(label, name) for label, name in enumerate(shown.classes))
    alt = (
        f"Maps of {len(shown.labels)} test images by class at the temperatures {taus[0]:g}, {taus[MIDDLE]:g} and "
        f"{taus[-1]:g}. At {taus[-1]:g} they lie along thin threads on which classes follow each other. "
        f"{describe(figure)}"
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{alt}" font-size="12" fill="currentColor" '
        f'style="display:block;width:100%;max-width:{WIDTH}px">{"".join(maps)}{names}</svg>'
        f"<p>{describe(figure)}</p><p>t-SNE maps of the embeddings of seed 0; the ring marks image {figure.image}. "
        "A still picture: in Jupyter, and on the website with JavaScript, a slider moves τ.</p>"
    )


def describe(figure: "TenTemperaturesFigure") -> str:
    """The figure's numbers in one line of text."""
    same, different = figure.mean_similarities
    return (
        f"temperature τ = {figure.tau:g} | "
        f"mean similarity {rounded(same)} within a class, {rounded(different)} between classes | "
        f"uniformity {_range(figure.uniformity)} | tolerance {_range(figure.tolerance)} | "
        f"linear accuracy {_range(figure.linear_accuracy)}\u00a0%"
    )


def _range(spread: "Spread") -> str:
    mean, low, high = (f"{value:.2f}" for value in spread)
    return f"{mean} ({low} to {high})"


def _map(figure: "TenTemperaturesFigure", t: int, left: int) -> str:
    shown = figure.recorded
    tau = shown.temperatures[t]
    places = np.rint((shown.maps[t] / 32767 + 1) * 10 * MAP / 2) / 10 + (left, HEAD)  # (n, 2), to 0.1 px
    glyphs = "".join(_glyphs(places[shown.labels == label], label) for label in GLYPHS)
    x, y = places[figure.image]
    return (
        f'<text x="{left}" y="14" font-weight="700">τ = {tau:g}</text>'
        f'<path d="M{left} 20h40" stroke="{tau_colour(tau)}" stroke-width="4"/>{glyphs}'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="6" fill="none" stroke="currentColor" stroke-width="2.5"/>'
    )


def _glyphs(places: np.ndarray, label: int) -> str:
    """Discs, or rings, of one class at places (m, 2)."""
    colour, form = GLYPHS[label]
    if form == "disc":
        d = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in places)
        return f'<path d="{d}" stroke="{colour}" stroke-width="4.4" stroke-linecap="round"/>'
    d = "".join(f"M{x - 1.8:.1f} {y:.1f}a1.8 1.8 0 1 0 3.6 0a1.8 1.8 0 1 0-3.6 0" for x, y in places)
    return f'<path d="{d}" stroke="{colour}" stroke-width="1.2" fill="none"/>'


def _legend(label: int, name: str) -> str:
    column, row = divmod(label, 2)
    x, y = column * LEGEND_COLUMN + 6, HEAD + MAP + 18 + row * LEGEND_ROW
    return _glyphs(np.array([[x, y - 4]]), label) + f'<text x="{x + 8}" y="{y}">{name}</text>'
