"""The still picture of the anatomy figure: the circle that anatomy.mjs draws, for a page without JavaScript."""

import math
from typing import TYPE_CHECKING

from ..figures import tau_colour
from .drawing import line, percent, rounded

if TYPE_CHECKING:
    from .anatomy import AnatomyFigure

SIZE, MARGIN, SCALE_ROW = 340, 36, 26
CENTRE, RADIUS = SIZE / 2, SIZE / 2 - MARGIN
HEAD = 9  # px, of an arrow
MARK = 8
_NOTHING, _NO_SHARE = 5e-4, 5e-5  # a force and a share that are written as 0, as in anatomy.mjs
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_still(figure: "AnatomyFigure") -> str:
    """An SVG, the figure's numbers and where it moves, as HTML without ids or any other random part.

    Coordinates are rounded to 0.1 px, so that another processor's last digit does not change the bytes.
    """
    colour, angles = tau_colour(figure.tau), figure.angles.tolist()
    parts = [f'<circle cx="{CENTRE:g}" cy="{CENTRE:g}" r="{RADIUS:g}" fill="none" stroke="currentColor" opacity=".5"/>']
    if figure.show == "loss":
        parts += _shadows(angles, [figure.s_pos, *figure.s_neg.tolist()])
    parts += _points(angles, [1.0, *figure.P.tolist()], colour)
    parts += [_arrow(*pair, figure.tau) for pair in zip(angles, figure.forces.tolist(), strict=True)]
    numbers = " | ".join(describe(figure))
    label = f"Anchor z, positive z⁺ and negatives on the unit circle, with the force on each. {numbers}"
    return (
        f'<svg viewBox="0 0 {SIZE} {SIZE + SCALE_ROW}" role="img" aria-label="{label}" font-size="12" '
        f'fill="currentColor" style="display:block;width:100%;max-width:{SIZE}px">{"".join(parts)}{_scale(figure.tau)}'
        f"</svg><p>{numbers}</p>{_table(figure)}"
        "<p>A still picture: in Jupyter, and on the website with JavaScript, the points can be dragged.</p>"
    )


def describe(figure: "AnatomyFigure") -> list[str]:
    """The figure's numbers, one sentence each."""
    P, loss = _share(float(figure.P[0])), figure.loss
    tau = f"temperature τ = {figure.tau:#.3g}"
    if figure.show == "loss":
        K, start = len(figure.negatives), figure.start_loss
        return [
            f"L = −log {P} = {number(loss)}",
            tau,
            f"at the start {number(start)}, twice that {number(2 * start)}",
            f"a blind guess costs log {K + 1} = {number(math.log(K + 1))}",
        ]
    on_anchor, pull, *pushes = figure.forces.tolist()
    towards = on_anchor * math.sin(math.radians(figure.positive - figure.anchor)) > 0
    where = "" if _size(on_anchor) == "0" else ", towards z⁺" if towards else ", away from z⁺"
    return [
        f"force on z: {_size(on_anchor)}{where}",
        tau,
        f"pull of the positive {_size(pull)}",
        f"pushes of the negatives {', '.join(map(_size, pushes))}",
        f"P of the positive {P}, loss {number(loss)}",
    ]


def number(x: float) -> str:
    """Three digits as a reader writes them, the same as `number` of anatomy_terms.mjs: 14.4, 0.0357, 2.69·10⁴³."""
    if x == 0 or 0.001 <= x < 10000:
        return f"{float(f'{x:.3g}'):g}"
    digits, power = f"{x:.2e}".split("e")
    return f"{digits}·10{str(int(power)).translate(_SUPERSCRIPTS)}"


def _share(P: float) -> str:
    return "0\u00a0%" if P < _NO_SHARE else percent(P)


def _size(force: float) -> str:
    return "0" if abs(force) < _NOTHING else number(abs(force))


def _turning(force: float) -> str:
    return "0" if _size(force) == "0" else f"{_size(force)}\u00a0{'↺' if force > 0 else '↻'}"


def _at(angle: float, radius: float = RADIUS) -> tuple[float, float]:
    return round(CENTRE + radius * math.cos(angle), 1), round(CENTRE - radius * math.sin(angle), 1)


def _shadows(angles: list[float], s: list[float]) -> list[str]:
    """The anchor's direction, and a dotted line from each candidate down to it."""
    anchor, *others = angles
    (x0, y0), (x1, y1) = _at(anchor, -RADIUS), _at(anchor)
    feet = [(*_at(angle), *_at(anchor, RADIUS * each)) for angle, each in zip(others, s, strict=True)]
    dots = "".join(f"M{x:g} {y:g}L{foot_x:g} {foot_y:g}" for x, y, foot_x, foot_y in feet)
    return [line(f"M{x0:g} {y0:g}L{x1:g} {y1:g}", 'opacity=".35"'), line(dots, 'stroke-dasharray="2 4"')]


def _points(angles: list[float], shares: list[float], colour: str) -> list[str]:
    """A disc a point, filled by its share of P, with its name outside the circle."""
    labels = ["z", "z⁺", *(str(j + 1) for j in range(len(angles) - 2))]
    return [_point(*point, colour) for point in zip(angles, shares, labels, strict=True)]


def _point(angle: float, share: float, label: str, colour: str) -> str:
    (x, y), (label_x, label_y) = _at(angle), _at(angle, RADIUS + 20)
    fill, width = ("currentColor" if label == "z" else colour), (4 if label == "z⁺" else 1.5)
    return (
        f'<circle cx="{x:g}" cy="{y:g}" r="{MARK}" fill="{fill}" fill-opacity="{share:.3f}" stroke="currentColor" '
        f'stroke-width="{width}"/><text x="{label_x:g}" y="{label_y + 4:g}" text-anchor="middle">{label}</text>'
    )


def _arrow(angle: float, force: float, tau: float) -> str:
    """A tangent arrow from the edge of the mark; a force of 1 / tau is as long as the radius."""
    length, way = abs(force) * tau * RADIUS, math.copysign(1, force)
    if length < 1:
        return ""
    (x, y), (ux, uy) = _at(angle), (-way * math.sin(angle), -way * math.cos(angle))

    def along(distance: float, aside: float = 0) -> str:
        return f"{x + distance * ux - aside * uy:.1f} {y + distance * uy + aside * ux:.1f}"

    head = min(HEAD, length)
    foot, wing = MARK + length - head, 0.45 * head
    d = f"M{along(MARK)}L{along(foot)}M{along(foot, wing)}L{along(MARK + length)}L{along(foot, -wing)}Z"
    return f'<path d="{d}" stroke="currentColor" stroke-width="2" stroke-linejoin="round"/>'


def _scale(tau: float) -> str:
    bottom = SIZE + SCALE_ROW - 10
    bar = line(f"M4 {bottom - 8}v8m0 -4h{RADIUS:g}m0 -4v8", "")
    return f'{bar}<text x="{RADIUS + 12:g}" y="{bottom}">a force of 1/τ = {float(f"{1 / tau:.3g}"):g}</text>'


def _table(figure: "AnatomyFigure") -> str:
    """A row a candidate: similarity, exp(s / tau) or force, share P."""
    s = [figure.s_pos, *figure.s_neg.tolist()]
    names = ["positive z⁺", *(f"negative {j + 1}" for j in range(len(s) - 1))]
    loss = figure.show == "loss"
    middle = [number(math.exp(each / figure.tau)) for each in s] if loss else map(_turning, figure.forces.tolist()[1:])
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{rounded(each)}</td><td>{text}</td><td>{_share(P)}</td></tr>'
        for name, each, text, P in zip(names, s, middle, figure.P.tolist(), strict=True)
    )
    heading = "e<sup>s/τ</sup>" if loss else "force"
    return (
        '<table><thead><tr><td></td><th scope="col">s</th>'
        f'<th scope="col">{heading}</th><th scope="col">share P</th></tr></thead><tbody>{rows}</tbody></table>'
    )
