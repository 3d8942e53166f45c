"""The anatomy figure in a browser: its numbers are the library's, and mouse, keyboard and touch move every point."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from contrastlab import hardness, losses, widgets
from contrastlab.widgets import AnatomyFigure
from contrastlab.widgets.anatomy import circle_forces, similarities
from contrastlab.widgets.anatomy_still import number
from figure_pages import drag_round, lay_out, write_page

PACKAGE = Path(widgets.__file__).parents[1]
CHAPTER = {"positive": 36.9, "negatives": [53.1, -90, 180]}
GROUPS, ANCHORS = 500, 20  # of one temperature and one number of negatives
ROOT = ".contrastlab-anatomy"


@pytest.fixture(scope="module")
def pages(serve, tmp_path_factory) -> str:
    """The address of a folder laid out as the site, with a page for each thing that the figure shows."""
    folder = lay_out(tmp_path_factory.mktemp("anatomy"))
    bodies = {
        "loss": AnatomyFigure(tau=0.3, **CHAPTER).twin(),
        "forces": AnatomyFigure(tau=0.1, show="forces", **CHAPTER).twin(),
        "blank": "",
    }
    for name, body in bodies.items():
        write_page(folder / f"{name}.html", body)
    return serve(folder)


@pytest.fixture
def open_figure(visit, pages):
    """open_figure(name, **context options) -> the page, once its figure is alive; no page may have a fault."""
    found = []

    def opened(name: str, **options: object) -> object:
        page, faults = visit(f"{pages}/{name}.html", **options)
        page.wait_for_selector('[data-mounted="1"]')
        found.append(faults)
        return page

    yield opened
    assert not any(found)


def shown(page) -> dict[str, object]:
    """What the figure says of itself on its root element, in full precision."""
    told = page.locator(ROOT).evaluate("(root) => ({ ...root.dataset })")
    names = ("tau", "loss", "s", "p", "forces", "degrees", "reached")
    return {name: json.loads(told[name]) for name in names}


def assert_shows_the_librarys_numbers(page) -> None:
    found = shown(page)
    anchor, positive, *negatives = found["degrees"]
    figure = AnatomyFigure(tau=found["tau"], anchor=anchor, positive=positive, negatives=negatives)
    expected = {
        "loss": figure.loss,
        "s": [figure.s_pos, *figure.s_neg.tolist()],
        "p": figure.P.tolist(),
        "forces": figure.forces.tolist(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-6, err_msg=name)
    text = page.locator(f"{ROOT} .numbers").inner_text()
    assert f"τ = {found['tau']:#.3g}" in text
    assert number(figure.loss) in text


def random_groups() -> list[dict[str, object]]:
    """10,000 anchors over the slider's range: both ends of tau, one to twelve negatives, ties and coinciding points."""
    random = np.random.default_rng(0)
    taus = [0.01, 10.0, *(10 ** random.uniform(-2, 1, GROUPS - 2))]
    angles = [random.uniform(-math.pi, math.pi, (ANCHORS, 2 + random.integers(1, 13))) for _ in taus]
    for each in angles[::5]:
        each[:] = each.round(1)  # ties, and points on the anchor
        each[0] = each[0, 0]
    return [{"tau": float(tau), "angles": each.tolist()} for tau, each in zip(taus, angles, strict=True)]


def library_values(group: dict[str, object]) -> dict[str, np.ndarray]:
    """P, loss and forces of a group by the library, in float64."""
    angles, tau = torch.tensor(group["angles"], dtype=torch.float64), group["tau"]
    s_pos, s_neg = similarities(angles)
    P_pos, P_neg = hardness.probabilities(s_pos, s_neg, tau)
    return {
        "P": torch.cat([P_pos[:, None], P_neg], dim=1).numpy(),
        "loss": losses.contrastive_loss(s_pos, s_neg, tau).numpy(),
        "forces": circle_forces(angles, tau).numpy(),
    }


@pytest.mark.browser
def test_functions_in_javascript_equal_the_library_on_10_000_anchors(visit, pages):
    groups = random_groups()
    page, _ = visit(f"{pages}/blank.html")
    found = page.evaluate(
        """async (groups) => {
          const { probabilities, contrastiveLoss, circleForces } = await import("/_static/widgets/mathematics.mjs");
          return groups.map(({ tau, angles }) => {
            const s = angles.map(([anchor, ...others]) => others.map((angle) => Math.cos(angle - anchor)));
            return { P: s.map((each) => probabilities(each, tau)), loss: s.map((each) => contrastiveLoss(each, tau)),
                     forces: angles.map((each) => circleForces(each, tau)) };
          });
        }""",
        groups,
    )
    assert sum(len(values["loss"]) for values in found) == 10_000
    for group, values in zip(groups, found, strict=True):
        for name, expected in library_values(group).items():
            np.testing.assert_allclose(values[name], expected, rtol=0, atol=1e-6, err_msg=name)


def strongest_pushes(rest: torch.Tensor, taus: torch.Tensor) -> torch.Tensor:
    """By golden sections over the angle of one more negative, from the best of a coarse grid on: (B,).

    rest: (B, 4) angles of the other candidates from the anchor, the positive first. taus: (B,).
    """

    def push(angle: torch.Tensor) -> torch.Tensor:  # (B,), as circle_forces computes it, which takes one tau only
        P = torch.softmax(torch.cat([angle[:, None], rest], dim=1).cos() / taus[:, None], dim=1)[:, 0]
        return P / taus * angle.sin()

    grid = torch.linspace(0, math.pi, 501, dtype=torch.float64)
    best = torch.stack([push(angle.expand(len(rest))) for angle in grid]).argmax(dim=0).clamp(1, len(grid) - 2)
    low, high = grid[best - 1], grid[best + 1]
    part = (math.sqrt(5) - 1) / 2
    for _ in range(50):
        left, right = high - part * (high - low), low + part * (high - low)
        rises = push(left) < push(right)
        low, high = torch.where(rises, left, low), torch.where(rises, high, right)
    return push((low + high) / 2)


@pytest.mark.browser
def test_strongest_push_in_javascript_is_the_top_of_the_librarys_forces_in_10_000_cases(visit, pages):
    random = np.random.default_rng(1)
    angles, taus = random.uniform(-3, 3, (10_000, 4)), 10 ** random.uniform(-2, 1, 10_000)
    page, _ = visit(f"{pages}/blank.html")
    found = page.evaluate(
        """async ([angles, taus]) => {
          const { strongestPush } = await import("/_static/widgets/mathematics.mjs");
          return angles.map((each, i) => strongestPush(each.map(Math.cos), taus[i]));
        }""",
        [angles.tolist(), taus.tolist()],
    )
    np.testing.assert_allclose(found, strongest_pushes(torch.tensor(angles), torch.tensor(taus)), rtol=1e-6, atol=1e-6)
    grid = torch.linspace(0, math.pi, 20_001, dtype=torch.float64)
    for case in range(50):  # and by the library's own forces, on a fine grid
        rest = torch.tensor(angles[case]).expand(len(grid), -1)  # the positive and three others
        points = torch.cat([torch.zeros(len(grid), 1, dtype=torch.float64), rest, grid[:, None]], dim=1)
        assert found[case] == pytest.approx(float(circle_forces(points, taus[case])[:, -1].max()), rel=1e-5)


@pytest.mark.browser
def test_mouse_drags_a_negative_until_the_loss_doubles_and_starts_again(open_figure):
    page = open_figure("loss", viewport={"width": 800, "height": 900})
    assert page.locator(".task").inner_text() == "Drag a negative until the loss doubles."
    assert_shows_the_librarys_numbers(page)
    start = shown(page)
    assert not start["reached"]
    drag_round(page.locator(ROOT), "negative 2", 45)
    between = shown(page)
    assert between["degrees"][3] == pytest.approx(45, abs=1)
    assert start["loss"] < between["loss"] < 2 * start["loss"]
    assert not between["reached"]
    drag_round(page.locator(ROOT), "negative 2", 30)
    after = shown(page)
    assert after["reached"]
    assert after["loss"] > 2 * start["loss"]
    assert_shows_the_librarys_numbers(page)
    rows = page.locator(f"{ROOT} tbody tr").all_inner_texts()
    assert len(rows) == 5
    assert "0.87" in rows[2]  # cos 30 degrees
    page.get_by_role("button", name="start again").click()
    assert shown(page) == start


# What is drawn, as numbers: the circle, the points, the paths of shadows and arrows, the widths of the bars.
DRAWN = """(root) => {
  const numbers = (text) => (text ?? "").match(/-?\\d+(?:\\.\\d+)?/g)?.map(Number) ?? [];
  const each = (selector, read) => [...root.querySelectorAll(selector)].map(read);
  const path = (element) => numbers(element.getAttribute("d"));
  const { cx, cy, r } = root.querySelector(".round");
  return {
    centre: [cx, cy, r].map((length) => length.baseVal.value),
    points: each(".point", (point) => numbers(point.getAttribute("transform"))),
    shadows: each(".shadow", path), arrows: each(".arrow", path),
    shares: each("tbody tr:not(.last) i", ({ style }) => numbers(style.transform)[0]),
  };
}"""


@pytest.mark.browser
@pytest.mark.parametrize("show", ["loss", "forces"])
def test_what_is_drawn_is_what_the_library_computes(open_figure, show):
    page = open_figure(show, viewport={"width": 800, "height": 900})
    drag_round(page.locator(ROOT), "negative 3", 20)
    drag_round(page.locator(ROOT), "anchor", -40)
    found = shown(page)
    anchor, positive, *negatives = found["degrees"]
    figure = AnatomyFigure(tau=found["tau"], anchor=anchor, positive=positive, negatives=negatives)
    drawn = page.locator(ROOT).evaluate(DRAWN)
    x, y, radius = drawn["centre"]
    pixel = 0.1 / radius  # what a tenth of a pixel is of the radius
    places = (np.array(drawn["points"]) - (x, y)) * (1, -1) / radius  # (2 + K, 2)
    z = np.stack([np.cos(figure.angles), np.sin(figure.angles)], axis=1)
    np.testing.assert_allclose(places, z, rtol=0, atol=pixel)
    np.testing.assert_allclose(drawn["shares"], figure.P, rtol=0, atol=1e-4)
    if show == "loss":
        feet = (np.array([shadow[2:] for shadow in drawn["shadows"][1:]]) - (x, y)) * (1, -1) / radius
        s = np.array([figure.s_pos, *figure.s_neg])
        np.testing.assert_allclose(feet, s[:, None] * z[0], rtol=0, atol=pixel)
    tangents = np.stack([-z[:, 1], z[:, 0]], axis=1)  # counter-clockwise
    for arrow, place, tangent, force in zip(drawn["arrows"], places, tangents, figure.forces.tolist(), strict=True):
        tip = (
            (np.array(arrow[6:8]) - (x, y)) * (1, -1) / radius
            if arrow
            else place + 8 / radius * np.sign(force) * tangent
        )
        beyond = (tip - place) @ tangent - 8 / radius * np.sign(
            force
        )  # an arrow starts at the edge of the mark, of 8 px
        assert beyond == pytest.approx(force * figure.tau, abs=2 * pixel if arrow else 1 / radius)


@pytest.mark.browser
def test_point_follows_neither_the_right_button_nor_a_second_finger(open_figure):
    page = open_figure("loss", viewport={"width": 800, "height": 900}, has_touch=True)
    start = shown(page)
    box = page.get_by_role("slider", name="negative 2", exact=True).locator(".disc").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down(button="right")
    page.mouse.move(x + 80, y - 80, steps=3)
    page.mouse.up(button="right")
    assert shown(page) == start
    touch = page.context.new_cdp_session(page)
    fingers = [("touchStart", []), ("touchStart", [(x, y - 90)]), ("touchMove", [(x + 60, y - 120)])]
    for kind, second in fingers:
        points = [{"x": at, "y": height} for at, height in [(x, y), *second]]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert shown(page) == start
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.mouse.move(x + 80, y - 80)
    assert shown(page) == start


@pytest.mark.browser
def test_loss_that_doubles_by_anything_but_a_negative_does_not_count(open_figure):
    page = open_figure("loss")
    start = shown(page)
    page.get_by_role("slider", name="positive", exact=True).focus()
    for _ in range(6):
        page.keyboard.press("PageUp")
    assert shown(page)["loss"] > 2 * start["loss"]
    assert not shown(page)["reached"]
    page.get_by_role("button", name="start again").click()
    page.get_by_role("slider", name="temperature tau").press("End")
    assert shown(page)["loss"] > 2 * start["loss"]
    assert not shown(page)["reached"]


@pytest.mark.browser
def test_keyboard_alone_finds_the_strongest_push(open_figure):
    page = open_figure("forces")
    page.evaluate("addEventListener('keydown', (event) => (window.seen ??= []).push(event.key))")
    order = []
    for _ in range(11):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
        )
    points = ["anchor", "positive", "negative 1", "negative 2", "negative 3"]
    turns = ["turn negative 3 clockwise", "turn negative 3 counter-clockwise", "start again"]
    assert order == ["lower temperature", "temperature tau", "higher temperature", *points, *turns]

    point = page.get_by_role("slider", name="negative 1", exact=True)
    point.focus()
    pushes = []
    while not shown(page)["reached"]:
        page.keyboard.press("ArrowLeft")
        pushes.append(abs(shown(page)["forces"][2]))
        assert len(pushes) < 60
    assert 27 <= shown(page)["degrees"][2] <= 33
    assert pushes == sorted(pushes)  # stronger with each step towards the place
    assert page.evaluate("(window.seen ?? []).filter((key) => key !== 'Tab')") == []  # or Lab would take the arrows
    assert point.get_attribute("aria-valuenow") == str(shown(page)["degrees"][2])
    assert "similarity 0." in point.get_attribute("aria-valuetext")
    assert "counter-clockwise" in point.get_attribute("aria-valuetext")
    for key, degrees in (("Home", -179.9), ("ArrowLeft", 179.1), ("End", 180), ("ArrowUp", -179)):
        page.keyboard.press(key)
        assert shown(page)["degrees"][2] == degrees, key
    assert_shows_the_librarys_numbers(page)


@pytest.mark.browser
def test_screen_reader_hears_the_numbers_once_it_rests(open_figure):
    page = open_figure("loss")
    spoken = page.get_by_role("status")
    assert "L = −log 63\u00a0% = 0.462" in spoken.text_content()
    for _ in range(3):
        page.get_by_role("button", name="turn negative 1 clockwise").click()
    page.wait_for_function("!document.querySelector('[role=status]').textContent.includes('63\u00a0% = 0.462')")
    loss, degrees = shown(page)["loss"], shown(page)["degrees"]
    assert f"= {number(loss)}" in spoken.text_content()
    assert degrees[2] == 38.1


@pytest.mark.browser
def test_touch_drags_a_point_and_does_not_scroll_the_page(open_figure):
    page = open_figure("forces", viewport={"width": 390, "height": 500}, has_touch=True, is_mobile=True)
    point = page.get_by_role("slider", name="negative 2", exact=True)
    point.scroll_into_view_if_needed()
    before, scrolled = shown(page), page.evaluate("scrollY")
    box = point.locator(".disc").bounding_box()
    x, y = box["x"] + 8, box["y"] + 8
    touch = page.context.new_cdp_session(page)
    for kind, steps in (("touchStart", [0]), ("touchMove", range(10, 101, 10)), ("touchEnd", [None])):
        for step in steps:
            points = [] if step is None else [{"x": x + step, "y": y - step}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert shown(page)["degrees"][3] > before["degrees"][3] + 30
    assert page.evaluate("scrollY") == scrolled
    assert_shows_the_librarys_numbers(page)
    page.get_by_role("button", name="turn negative 2 counter-clockwise").tap()
    page.get_by_role("button", name="lower temperature").tap()
    assert shown(page)["tau"] == 0.0794
    assert_shows_the_librarys_numbers(page)


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 760, 1200])
def test_figure_fits_the_page_at_the_size_of_its_letters(open_figure, width):
    page = open_figure("loss", viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    svg = page.locator(f"{ROOT} svg")
    assert float(svg.get_attribute("viewBox").split()[2]) == pytest.approx(svg.bounding_box()["width"], abs=1)
    circle, terms = page.locator(".circle").bounding_box(), page.locator("table").bounding_box()
    assert (terms["y"] > circle["y"] + circle["height"]) == (width == 320)  # below it on a phone, else beside it
    assert page.evaluate("document.getAnimations().length") == 0


@pytest.mark.browser
def test_still_picture_says_what_the_live_one_says(visit, pages):
    for name in ("loss", "forces"):
        live, _ = visit(f"{pages}/{name}.html")
        live.wait_for_selector('[data-mounted="1"]')
        spoken = live.locator(".numbers span").all_inner_texts()
        cells = live.locator("tbody tr:not(.last) :is(th, td)").all_text_contents()
        still, _ = visit(f"{pages}/{name}.html", java_script_enabled=False)
        assert still.locator(".contrastlab-figure p").first.inner_text() == " | ".join(spoken)
        assert still.locator("tbody :is(th, td)").all_text_contents() == cells
        assert still.locator(".contrastlab-figure svg").is_visible()


@pytest.mark.browser
def test_python_moves_the_picture_and_nothing_is_left_after_the_cleanup(visit, pages):
    page, faults = visit(f"{pages}/blank.html")
    found = page.evaluate(
        """async () => {
          const { default: widget } = await import("/_static/widgets/anatomy.mjs");
          const points = { tau: 0.3, anchor: 0, positive: 30, negatives: [60, 90, 120] };
          const state = { ...points, start: points, show: "loss" }, handlers = new Set();
          const model = { get: (name) => state[name], on: (event, handler) => handlers.add(handler),
                          off: (event, handler) => handlers.delete(handler),
                          set(name, value) { state[name] = value; handlers.forEach((handler) => handler()); },
                          save_changes() { throw new Error("no kernel"); } };
          const cleanup = await widget.render({ model, el: document.body });
          const root = document.querySelector(".contrastlab-anatomy");
          root.querySelectorAll(".point")[4].focus();
          model.set("negatives", [45]);
          model.set("show", "forces");
          const seen = [root.dataset.degrees, root.dataset.show, root.querySelectorAll(".point").length,
                        root.querySelector(".task").textContent];
          root.querySelector(".turn button").click();
          cleanup();
          return [...seen, state.negatives[0], handlers.size, document.querySelectorAll(".contrastlab-anatomy").length];
        }"""
    )
    task = "Find the place of a negative where its push on the anchor is strongest."
    assert found == ["[0,30,45]", "forces", 3, task, 40, 0, 0]
    assert not faults
