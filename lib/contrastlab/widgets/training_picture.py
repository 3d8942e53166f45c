"""What the training panel shows of its runs, as HTML: three small plots and a table."""

import json
from collections.abc import Sequence

from ..figures import tau_colour
from ..files import repository_root
from .drawing import signed, text
from .training_run import Run

RECORDED = "panel-runs.json"
WIDTH, HEIGHT = 250, 190
LEFT, RIGHT, TOP, BOTTOM = 30, 182, 26, 158
LABEL_GAP = 12
METRICS = {"loss": "loss (nats)", "uniformity": "uniformity", "tolerance": "tolerance"}
_CELL = 'style="text-align:right;padding:.15em .6em;white-space:nowrap"'
_INK = "color:var(--jp-content-font-color1,inherit)"


def recorded_runs() -> list[Run]:
    """The runs of data/panel-runs.json: what the panel itself did at three temperatures with two seeds.

    Raises FileNotFoundError where they are missing.
    """
    path = repository_root() / "data" / RECORDED
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. Make it: python data/make_panel_runs.py")
    return json.loads(path.read_text(encoding="utf-8"))


def plots(runs: Sequence[Run]) -> str:
    """Loss, uniformity and tolerance against epochs, one line a run in its temperature's colour."""
    figures = "".join(_plot(name, title, runs) for name, title in METRICS.items())
    return f'<div style="{_INK};display:flex;flex-wrap:wrap;gap:0 .8em;max-width:760px">{figures}</div>'


def _plot(metric: str, title: str, runs: Sequence[Run]) -> str:
    lines = {i: _points(run, metric) for i, run in enumerate(runs)}
    lines = {i: points for i, points in lines.items() if points}
    values = [y for points in lines.values() for _, y in points]
    low, high = _range(metric, values)
    last = max([1, *(run["epochs"] for run in runs)])

    def place(epoch: float, value: float) -> tuple[float, float]:
        x, y = epoch / last, (value - low) / (high - low)
        return round(LEFT + (RIGHT - LEFT) * x, 1), round(BOTTOM - (BOTTOM - TOP) * y, 1)

    placed = {i: [place(*point) for point in points] for i, points in lines.items()}
    drawn = "".join(_line(points, runs[i]) for i, points in placed.items())
    ends = {i: points[-1] for i, points in placed.items()}
    ends_in_words = "; ".join(f"{_name(runs[i])}: {points[-1][1]:.2f}" for i, points in lines.items())
    words = f"{title} against epochs. At the end {ends_in_words or 'no run yet'}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}" '
        f'font-size="12" fill="currentColor" style="flex:1 1 {WIDTH - 70}px;max-width:300px;min-width:0">'
        f"{_axes(title, low, high, last)}{drawn}{_labels(ends, runs)}</svg>"
    )


def _points(run: Run, metric: str) -> list[tuple[int, float]]:
    return [(now["epoch"], now[metric]) for now in run["history"] if now.get(metric) is not None]


def _range(metric: str, values: Sequence[float]) -> tuple[float, float]:
    """Axes that stay while a run goes on, and grow only for what lies outside."""
    low, high = {"loss": (3.0, 5.6), "uniformity": (0.0, 3.0), "tolerance": (0.0, 1.0)}[metric]
    return min([low, *values]), max([high, *values])


def _axes(title: str, low: float, high: float, last: int) -> str:
    middle, end = (LEFT + RIGHT) / 2, BOTTOM + 16
    frame = f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="currentColor" opacity=".6"/>'
    texts = [
        _text(4, 14, title, weight="bold"),
        _text(LEFT - 5, TOP + 8, _short(high), "end"),
        _text(LEFT - 5, BOTTOM, _short(low), "end"),
        _text(LEFT, end, "0", "middle"),
        _text(RIGHT, end, str(last), "middle"),
        _text(middle, end, "epochs", "middle"),
    ]
    return frame + "".join(texts)


def _text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    return text(x, y, words, anchor, f'font-weight="{weight}"')


def _line(points: Sequence[tuple[float, float]], run: Run) -> str:
    """A curve, dashed for a hard loss, and a dot at its end, outlined so that the deepest blue shows on a dark page."""
    colour, dashes = _colour(run), ' stroke-dasharray="5 3"' if _is_hard(run) else ""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    x, y = points[-1]
    curve = "".join(
        f'<path d="{path}" fill="none" stroke="{ink}" stroke-width="{wide}" opacity="{opacity}"{dashes}/>'
        for ink, wide, opacity in (("currentColor", 3.5, 0.35), (colour, 2, 1))
    )
    return f'{curve}<circle cx="{x:g}" cy="{y:g}" r="3.5" fill="{colour}" stroke="currentColor"/>'


def _labels(ends: dict[int, tuple[float, float]], runs: Sequence[Run]) -> str:
    """The temperature beside the end of each curve, once a temperature, moved down where two would collide."""
    heights: dict[str, list[float]] = {}
    for i, (_, y) in ends.items():
        heights.setdefault(_short_name(runs[i]), []).append(y)
    middles = sorted((sum(ys) / len(ys), name) for name, ys in heights.items())
    ys = [y for y, _ in middles]
    for i in range(1, len(ys)):
        ys[i] = max(ys[i], ys[i - 1] + LABEL_GAP)
    over = max(0.0, ys[-1] - BOTTOM) if ys else 0.0  # so that the last stays in the frame
    return "".join(_text(RIGHT + 7, y - over + 4, name) for y, (_, name) in zip(ys, middles, strict=True))


def table(runs: Sequence[Run], caption: str = "Runs so far") -> str:
    """One row a run: what was chosen, how long it trained, and its last numbers."""
    names = ("loss", "τ", "α", "seed", "data", "epochs", "final loss", "uniformity", "tolerance")
    header = "".join(f'<th scope="col" {_CELL}>{name}</th>' for name in names)
    body = "".join("<tr>" + "".join(f"<td {_CELL}>{cell}</td>" for cell in _row(run)) + "</tr>" for run in runs)
    return (
        f'<div tabindex="0" role="region" aria-label="{caption}" style="{_INK};overflow-x:auto;max-width:760px">'
        '<table style="border-collapse:collapse;font-variant-numeric:tabular-nums">'
        f'<caption style="text-align:left;font-weight:bold">{caption}</caption>'
        f"<thead><tr><td></td>{header}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(run: Run) -> list[str]:
    last = run["history"][-1]
    done = f"{last['epoch']}" if run["end"] == "finished" else f"{last['epoch']} of {run['epochs']}, {run['end']}"
    settings = ["–" if run[name] is None else f"{run[name]:g}" for name in ("tau", "alpha", "seed")]
    numbers = ["–" if last[name] is None else f"{last[name]:.2f}" for name in METRICS]
    return [_chip(run), run["loss"].replace("_", " "), *settings, f"{run['data']}, {run['images']}", done, *numbers]


def _chip(run: Run) -> str:
    """The run's colour, as in the plots."""
    return (
        f'<span style="display:inline-block;width:.8em;height:.8em;border:1px solid currentColor;border-radius:50%;'
        f'background:{_colour(run)}"></span>'
    )


def _colour(run: Run) -> str:
    return "currentColor" if run["tau"] is None else tau_colour(run["tau"])


def _name(run: Run) -> str:
    loss = run["loss"].replace("_", " ")
    return f"{loss}, seed {run['seed']}" if run["tau"] is None else f"{loss}, τ = {run['tau']:g}, seed {run['seed']}"


def _short_name(run: Run) -> str:
    tau = "simple" if run["tau"] is None else f"{run['tau']:g}"
    return f"{tau} hard" if _is_hard(run) else tau


def _is_hard(run: Run) -> bool:
    return run["loss"].startswith("hard")


def _short(number: float) -> str:
    return signed(f"{number:.1f}".removesuffix(".0"))
