"""The still picture of the world of points: three moments of its flow, for a page without JavaScript."""

import math
from typing import TYPE_CHECKING

from torch import Tensor

from .. import geometry
from ..figures import tau_colour
from .world_flow import CLASSES, HAS_TEMPERATURE

if TYPE_CHECKING:
    from .world import WorldFigure

MOMENTS = (0, 30, 300)  # steps
YAW, PITCH = 0.3, 0.35  # as world.mjs starts
RADIUS, GAP, TOP = 96, 16, 24
WIDTH, HEIGHT = 3 * 2 * RADIUS + 2 * GAP + 4, TOP + 2 * RADIUS + 4
COLOURS = ("currentColor", "#1f9fb5", "#1f7d3f", "#8b9700")  # of the classes, as in world_sphere.mjs
SHAPES = (  # of the classes: what is drawn from a point, px that the point lies below it, and how
    ("h0", 0.0, 'fill="none" stroke="{colour}" stroke-width="5.4" stroke-linecap="round"'),
    ("h0", 0.0, 'fill="none" stroke="{colour}" stroke-width="4.8" stroke-linecap="square"'),
    ("l3 5h-6z", 3.3, 'fill="{colour}"'),
    ("l3.5 3.5-3.5 3.5-3.5-3.5z", 3.5, 'fill="{colour}"'),
)


def draw_still(figure: "WorldFigure") -> str:
    """An SVG of three moments, the numbers of each and where the figure moves, as HTML without ids.

    Coordinates are rounded to 0.1 px, so that another processor's last digit does not change the bytes.
    """
    moments = MOMENTS if figure.steps in MOMENTS else sorted({*MOMENTS[:2], figure.steps})
    clouds = [figure.points_after(steps) for steps in moments]
    balls = "".join(
        _ball(figure, i, f"step {steps}", z) for i, (steps, z) in enumerate(zip(moments, clouds, strict=True))
    )
    numbers = [_describe(figure, steps, z) for steps, z in zip(moments, clouds, strict=True)]
    label = f"{figure.n} points in four classes on a sphere, half of it seen. {'. '.join(numbers)}."
    paragraphs = "".join(f"<p>{text}</p>" for text in (name_of(figure), *numbers))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" font-size="12" fill="currentColor" '
        f'style="display:block;width:100%;max-width:{WIDTH}px">{balls}</svg>{"" if figure.compact else paragraphs}'
        "<p>A still picture: in Jupyter, and on the website with JavaScript, the points flow.</p>"
    )


def name_of(figure: "WorldFigure") -> str:
    """The loss in words, with its temperature if it has one."""
    name = f"{figure.loss.replace('_', ' ')} loss"
    return f"{name}, τ = {figure.tau:#.3g}" if figure.loss in HAS_TEMPERATURE else name


def _describe(figure: "WorldFigure", steps: int, z: Tensor) -> str:
    return (
        f"step {steps} | uniformity {geometry.uniformity(z):.2f} | "
        f"tolerance {geometry.tolerance(z, figure.labels):.2f} | "
        f"effective rank {geometry.effective_rank(z):.2f} of 3 | length of the mean {float(z.mean(dim=0).norm()):.2f}"
    )


def _seen(point: list[float], middle: float) -> tuple[float, float, float]:
    """The place of a point in the picture, in px, and its depth, which is above 0 on the half that faces us."""
    x, y, w = point
    right = x * math.cos(YAW) + w * math.sin(YAW)
    deep = w * math.cos(YAW) - x * math.sin(YAW)
    up = y * math.cos(PITCH) - deep * math.sin(PITCH)
    near = y * math.sin(PITCH) + deep * math.cos(PITCH)
    return round(middle + RADIUS * right, 1), round(TOP + RADIUS * (1 - up), 1), near


def _ball(figure: "WorldFigure", place: int, name: str, z: Tensor) -> str:
    middle = 2 + RADIUS + place * (2 * RADIUS + GAP)
    outline = (
        f'<circle cx="{middle}" cy="{TOP + RADIUS}" r="{RADIUS}" fill="none" stroke="currentColor" opacity=".45"/>'
        f'<text x="{middle}" y="14" text-anchor="middle">{name}</text>'
    )
    classes = [_class([_seen(row, middle) for row in z[c::CLASSES].tolist()], c) for c in range(CLASSES)]
    return outline + "".join(classes) + _mean(z, middle, figure)


def _class(seen: list[tuple[float, float, float]], which: int) -> str:
    shape, above, how = SHAPES[which]
    d = "".join(f"M{x:g} {round(y - above, 1):g}{shape}" for x, y, near in seen if near > 0)
    return f'<path d="{d}" {how.format(colour=COLOURS[which])}/>'


def _mean(z: Tensor, middle: float, figure: "WorldFigure") -> str:
    """The mean vector from the centre, in the temperature's colour."""
    x, y, _ = _seen(z.mean(dim=0).tolist(), middle)
    colour = tau_colour(figure.tau) if figure.loss in HAS_TEMPERATURE else "currentColor"
    line = f'<path d="M{middle} {TOP + RADIUS}L{x:g} {y:g}" fill="none" stroke-linecap="round" '
    return f'{line}stroke="currentColor" stroke-width="6"/>{line}stroke="{colour}" stroke-width="3.5"/>'
