"""The still picture of the temperature figure: the plot that temperature.mjs draws, for a page without JavaScript."""

import math
from typing import TYPE_CHECKING

from ..figures import tau_colour
from .drawing import line, percent, rounded, signed, text

if TYPE_CHECKING:
    from .temperature import TemperatureFigure

WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 62, 628, 42, 258
TITLE_ROW, BRACKET_ROW, LIMIT_ROW = 12, 17, 33  # above the plot
NAME_WIDTH = 160  # of the limit's name, about
DECADES_BELOW_EVEN = 3
DOT = 4  # its radius with the outline


def draw_still(figure: "TemperatureFigure") -> str:
    """An SVG, the figure's numbers and where it moves, as HTML without ids or any other random part.

    Coordinates are rounded to 0.1 px, so that another processor's last digit does not change the bytes.
    """
    floor = math.floor(-math.log10(len(figure.similarities))) - DECADES_BELOW_EVEN
    colour = tau_colour(figure.tau)
    parts = [
        _axes(floor),
        _interval(figure.interval, max(figure.similarities), colour),
        _references(figure.similarities, floor),
        _negatives(zip(figure.similarities, figure.r.tolist(), strict=True), floor, colour),
    ]
    numbers = describe(figure)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{numbers}" font-size="12" fill="currentColor" '
        f'style="display:block;width:100%;max-width:{WIDTH}px">{"".join(parts)}</svg>'
        f"<p>{numbers}</p><p>A still picture: in Jupyter, and on the website with JavaScript, a slider moves τ.</p>"
    )


def describe(figure: "TemperatureFigure") -> str:
    """The figure's numbers in one line of text."""
    return (
        f"temperature τ = {figure.tau:#.3g} | the hardest negative takes {percent(float(figure.r.max()))} | "
        f"effective negatives {figure.effective_negatives:.1f} of {len(figure.similarities)} | "
        f"entropy {figure.entropy:.2f} nats | "
        f"95\u00a0% of the push on similarities of {rounded(figure.interval)} and above"
    )


def _x(s: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * (s + 1) / 2, 1)


def _y(share: float, floor: int) -> float:
    return round(TOP + (BOTTOM - TOP) * math.log10(share) / floor, 1)


def _axes(floor: int) -> str:
    heights = {power: _y(10.0**power, floor) for power in range(floor, 1)}
    grid = line("".join(f"M{LEFT} {y:g}H{RIGHT}" for y in heights.values()), 'opacity=".13"')
    shares = [text(LEFT - 8, y + 4, f"{10.0 ** (power + 2):g} %", "end") for power, y in heights.items()]
    similarities = [text(_x(s), BOTTOM + 18, signed(f"{s:g}"), "middle") for s in (-1, -0.5, 0, 0.5, 1)]
    titles = [
        text(4, TITLE_ROW, "share of the push r, log scale"),
        text((LEFT + RIGHT) / 2, BOTTOM + 36, "similarity s of the negative to the anchor", "middle"),
    ]
    return grid + "".join(shares + similarities + titles)


def _interval(lowest: float, highest: float, colour: str) -> str:
    start, end = _x(lowest) - DOT, _x(highest) + DOT
    area = f"M{start:g} {TOP}H{end:g}V{BOTTOM}H{start:g}z"
    edge = f"M{start:g} {TOP}V{BOTTOM}M{start:g} {BRACKET_ROW + 5}v-5H{end:g}v5"
    named = line(edge, 'opacity=".75"') + text(RIGHT, TITLE_ROW, "95 % of the push", "end")
    return f'<path d="{area}" fill="{colour}" opacity=".2"/>{named}'


def _references(similarities: list[float], floor: int) -> str:
    """Half the push, and the two limits: an even share for a large tau, all of it on the hardest for a small one."""
    K, hardest = len(similarities), max(similarities)
    half, even = _y(0.5, floor), _y(1 / K, floor)
    away = (LEFT + 6, "start") if _x(hardest) > LEFT + NAME_WIDTH else (RIGHT, "end")
    named = _reference(f"M{LEFT} {half:g}H{RIGHT}") + text(away[0], half - 5, "half the push", away[1])
    if K == 1:
        return named
    y = even + 14 if even - half < 14 else even - 5  # below for two or three, where above would lie on the other text
    named += _reference(f"M{LEFT} {even:g}H{RIGHT}")
    named += text(away[0], y, f"τ → ∞: even share, 1/K = {percent(1 / K)}", away[1])
    return named + _cold_limit(hardest, similarities.count(hardest), floor)


def _cold_limit(hardest: float, ties: int, floor: int) -> str:
    x, y = _x(hardest), _y(1 / ties, floor)
    name = "all on the hardest" if ties == 1 else f"1/{ties} on each of the {ties} hardest"
    beside = (x - 10, "end") if x > LEFT + NAME_WIDTH else (x + 10, "start")
    ring = f'<circle cx="{x:g}" cy="{y:g}" r="{2 * DOT}" fill="none" stroke="currentColor"/>'
    return _reference(f"M{x:g} {BOTTOM}V{y:g}") + ring + text(beside[0], LIMIT_ROW, f"τ → 0: {name}", beside[1])


def _reference(d: str) -> str:
    return line(d, 'stroke-dasharray="5 4" opacity=".75"')


def _negatives(pairs: "zip[tuple[float, float]]", floor: int, colour: str) -> str:
    """One dot a negative that lies in the plot; the others take less than its lowest share."""
    dots = "".join(f"M{_x(s):g} {_y(r, floor):g}h0" for s, r in pairs if r >= 10.0**floor)
    return line(dots, f'stroke-width="{2 * DOT}" stroke-linecap="round"') + (
        f'<path d="{dots}" fill="none" stroke="{colour}" stroke-width="{2 * DOT - 2}" stroke-linecap="round"/>'
    )
