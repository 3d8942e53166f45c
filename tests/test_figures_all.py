"""What holds for every interactive figure on a page without a kernel, whoever adds one."""

import json
from pathlib import Path

import numpy as np
import pytest

from contrastlab import widgets
from contrastlab.widgets import ten_temperatures_data
from figure_catalogue import (
    CATALOGUE,
    FIGURES,
    css_class,
    differences,
    library_numbers,
    make,
    shown_numbers,
    tau_in_text,
)
from figure_pages import lay_out, write_page
from figure_pictures import assert_like_stored, difference, drawing_of

PACKAGE = Path(widgets.__file__).parents[1]
FRAME = 16  # ms, in which a figure answers a move
SLOWER = 4  # times, so that it does on a phone
MOVES = 100
REFERENCE = 7.0  # ms that the processor to which FRAME belongs takes for A_MILLION_EXPONENTIALS, the best of nine times


@pytest.fixture(scope="module")
def pages(serve, tmp_path_factory) -> str:
    """The address of a folder laid out as the site, with NAME.html (the figure of make(NAME)) and NAME-default.html."""
    folder = lay_out(tmp_path_factory.mktemp("pages"))
    ten_temperatures_data.write_for_site(folder / "_static" / "figures")
    for name in FIGURES:
        write_page(folder / f"{name}.html", make(name).twin())
        write_page(folder / f"{name}-default.html", FIGURES[name]().twin())
    write_page(folder / "blank.html", "")
    return serve(folder)


@pytest.fixture(params=FIGURES)
def name(request) -> str:
    return request.param


@pytest.fixture
def mounted(visit, pages, name):
    """mounted(page=..., **context options) -> the root element of the figure, alive."""
    found = []

    def open_figure(suffix: str = "", **options: object):
        page, faults = visit(f"{pages}/{name}{suffix}.html", **{"viewport": {"width": 700, "height": 900}} | options)
        found.append(faults)
        page.locator('.contrastlab-figure[data-mounted="1"]').wait_for()
        return page.locator(f".{css_class(name)}")

    yield open_figure
    assert not any(found), found


def test_the_catalogue_lists_every_figure():
    assert set(CATALOGUE) == set(FIGURES), "say in figure_catalogue.py which numbers the figure shows"
    assert all(entry.numbers for entry in CATALOGUE.values())


def test_no_line_of_a_script_or_a_style_is_longer_than_120_characters():
    paths = [path for kind in ("widgets/*.mjs", "site/**/*.js", "site/**/*.css") for path in PACKAGE.glob(kind)]
    assert len(paths) > 15
    lines = {f"{path.name}:{i}": line for path in paths for i, line in enumerate(path.read_text().splitlines(), 1)}
    assert [place for place, line in lines.items() if len(line) > 120] == []


@pytest.mark.browser
def test_figure_mounts_and_shows_the_librarys_numbers(mounted, name):
    root, figure = mounted(), make(name)
    assert not differences(shown_numbers(root, name), library_numbers(figure), name)
    assert tau_in_text(root) == pytest.approx(figure.tau, rel=1e-3)
    assert root.locator("p.task").count() == 1
    assert root.locator(".spoken[role=status]").text_content()
    assert root.locator("svg:not([role]):not([aria-hidden]), canvas:not([role]):not([aria-hidden])").count() == 0


# Mounts a figure so many times, each time in a host of its own, and takes it away again. Returns the handlers left.
MOUNT_OFTEN = """async ([module, state, times]) => {
  const { default: widget } = await import(`/_static/widgets/${module}`);
  const frame = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
  let left = 0;
  for (let i = 0; i < times; i++) {
    const values = structuredClone(state), handlers = {};
    const model = {
      get: (name) => values[name], set: (name, value) => { values[name] = value; }, save_changes() {}, send() {},
      on: (event, handler) => (handlers[event] ??= new Set()).add(handler),
      off: (event, handler) => handlers[event].delete(handler),
    };
    const el = document.body.appendChild(document.createElement("div"));
    const end = await widget.render({ model, el });
    if (i % 5 === 0) await frame(); // so that observers and frames that were asked for come
    await end();
    el.remove();
    left += Object.values(handlers).reduce((sum, of) => sum + of.size, 0);
  }
  await new Promise((resolve) => { setTimeout(resolve, 700); }); // what was to be announced would be by now
  return left;
}"""


def held(cdp) -> dict[str, float]:
    """What the page holds once garbage is collected."""
    for _ in range(3):
        cdp.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in cdp.send("Performance.getMetrics")["metrics"]}
    return {name: metrics[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}


@pytest.mark.browser
def test_nothing_is_left_of_two_hundred_mounts(visit, pages, name):
    page, faults = visit(f"{pages}/blank.html")
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable")
    figure = make(name)
    state = {trait: getattr(figure, trait) for trait in (*figure.STATE, "colours")}
    few = page.evaluate(MOUNT_OFTEN, [figure.MODULE, state, 20])
    before = held(cdp)
    many = page.evaluate(MOUNT_OFTEN, [figure.MODULE, state, 180])
    after = held(cdp)
    assert (few, many) == (0, 0), "handlers stay on the model"
    assert after["Nodes"] - before["Nodes"] < 180, f"{before} -> {after}"  # less than one a mount
    assert after["JSEventListeners"] - before["JSEventListeners"] < 18, f"{before} -> {after}"
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < 180 * 2000, f"{before} -> {after}"  # bytes
    assert not faults


def work_of_presses(trace: bytes, clock: str) -> np.ndarray:
    """ms of the page's main thread from each press of a key to the frame that shows it: script, style, layout, paint.

    trace: Chromium's. clock: "dur", by the clock on the wall, or "tdur", the processor's time for this thread.
    """
    events = json.loads(trace)["traceEvents"]
    presses = [event for event in events if event["args"].get("data", {}).get("type") == "keydown"]
    presses = [event for event in presses if event["name"] == "EventDispatch"]
    thread = presses[0]["pid"], presses[0]["tid"]
    mine = [event for event in events if (event["pid"], event["tid"]) == thread]
    tasks = [event for event in mine if event["name"] == "RunTask" and "tdur" in event]
    starts, lengths = np.array([[task["ts"], task["dur"]] for task in tasks]).T
    ends = starts + lengths
    frames = np.sort([*(event["ts"] for event in mine if event["name"] == "Commit"), np.inf])
    at = np.array([*(event["ts"] for event in presses), np.inf])
    work = np.array([task[clock] for task in tasks]) / 1000
    shown = [frames[frames > press][0] for press in at[:-1]]
    return np.array([
        work[(ends > press) & (starts < frame) & (ends <= following)].sum()
        for press, frame, following in zip(at, shown, at[1:], strict=False)
    ])  # fmt: skip


def trace_of_moves(browser, page, control, slower: int) -> bytes:
    """MOVES arrow keys on a control, to and fro, on a processor that is so many times slower."""
    cdp = page.context.new_cdp_session(page)
    control.focus()
    page.keyboard.press("Home")
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": slower})
    browser.start_tracing(page=page, categories=["devtools.timeline", "disabled-by-default-devtools.timeline"])
    for i in range(MOVES):
        page.keyboard.press("ArrowRight" if i // 8 % 2 == 0 else "ArrowLeft")  # ten temperatures have no more
    page.evaluate("new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); })")
    trace = browser.stop_tracing()
    cdp.send("Emulation.setCPUThrottlingRate", {"rate": 1})
    return trace


A_MILLION_EXPONENTIALS = """() => {
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    let sum = 0;
    for (let i = 0; i < 1e6; i++) sum += Math.exp(-(i % 100) / 50);
    return sum ? performance.now() - start : Infinity;
  });
  return Math.min(...times);
}"""


@pytest.mark.browser
def test_figure_answers_a_move_within_a_frame(mounted, browser, name):
    """The median over 100 moves, in processor time of the page's main thread, times 4, of three tries at most.

    Chromium's own slow-down serves only on a quiet machine: where other programs held the cores, one figure's median
    went from 3 to 33 ms. It is printed beside, with `-rP`. A processor slower than the REFERENCE gets more time.
    """
    root = mounted()
    frame = FRAME * max(1.0, root.page.evaluate(A_MILLION_EXPONENTIALS) / REFERENCE)
    controls = [root.get_by_role("slider", name="temperature tau"), *own_sliders(root)[:1]]
    for control in controls:
        tries = []
        while len(tries) < 3 and not (tries and tries[-1][0] <= frame):
            work = SLOWER * work_of_presses(trace_of_moves(browser, root.page, control, 1), "tdur")
            assert len(work) == MOVES and work.min() > 0.1, "a press did no work"
            tries.append(np.percentile(work, [50, 95]))
        words = " | ".join(f"median {median:.1f} ms, 95th percentile {high:.1f} ms" for median, high in tries)
        slowed = np.median(work_of_presses(trace_of_moves(browser, root.page, control, SLOWER), "dur"))
        print(f"{name}: {words}; by Chromium's slow-down {slowed:.1f} ms")
        assert tries[-1][0] <= frame, f"at {SLOWER}x slow-down {words}, of {frame:.1f}"


def own_sliders(root) -> list:
    """What can be moved by arrow keys and is no slider of the browser's: points, a sphere, a map."""
    return root.locator('[role="slider"][tabindex="0"]').all()


def move_a_mark(root) -> None:
    """One step of an arrow key, or of the temperature where nothing else can be moved."""
    if own := own_sliders(root):
        own[0].press("ArrowRight")
    else:
        root.get_by_role("button", name="lower temperature").click()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_picture_is_like_the_stored_one(mounted, name, scheme, tmp_path):
    drawing = drawing_of(mounted(color_scheme=scheme))
    assert_like_stored(drawing, f"{name}-{scheme}", tmp_path)


@pytest.mark.browser
def test_a_moved_mark_makes_another_picture_and_another_font_does_not(mounted, name):
    root = mounted()
    drawing = drawing_of(root)
    root.page.add_style_tag(content="* { font-family: serif !important }")
    assert not difference(drawing_of(root), drawing)
    move_a_mark(root)
    assert difference(drawing_of(root), drawing)


@pytest.mark.browser
def test_nothing_moves_by_itself_for_a_reader_who_wants_less_motion(mounted):
    root = mounted("-default", reduced_motion="reduce")
    before = root.screenshot()
    root.page.wait_for_timeout(400)
    assert root.evaluate("document.getAnimations().length") == 0
    assert root.screenshot() == before
    root.get_by_role("button", name="lower temperature").click()
    root.page.wait_for_timeout(100)
    assert root.evaluate("document.getAnimations().length") == 0
    assert root.screenshot() != before  # it still answers


@pytest.mark.browser
def test_figure_can_be_printed(mounted):
    root = mounted()
    root.page.emulate_media(media="print")
    assert root.locator(".numbers").is_visible()
    for drawing in root.locator("svg, canvas").all():
        box = drawing.bounding_box()
        assert box["width"] > 100 and box["height"] > 20
    pixels = np.asarray(drawing_of(root).convert("L"))
    assert (pixels < 128).mean() > 0.002, "next to nothing is drawn"
    assert np.median(pixels) > 200, "dark paper"
    assert root.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert root.page.pdf(format="A4").count(b"/Type /Page\n") == 1  # on one sheet
