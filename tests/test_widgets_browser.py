"""The interactive figure in a browser: its numbers are the library's, and everyone can use it.

Also that the browser tests notice faults, and are never silently absent.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from contrastlab import widgets
from contrastlab.figures import tau_colour
from contrastlab.widgets import TemperatureFigure
from figure_numbers import assert_same_numbers, library_numbers, library_numbers_of, shown_numbers
from figure_pages import lay_out, write_page

PACKAGE = Path(widgets.__file__).parents[1]


@pytest.fixture(scope="module")
def pages(serve, tmp_path_factory) -> str:
    """The address of a folder that is laid out as the site: a page with the figure, its module and the mounter."""
    folder = lay_out(tmp_path_factory.mktemp("pages"))
    twin = TemperatureFigure()._repr_mimebundle_()[0]["text/html"]
    write_page(folder / "figure.html", twin)
    write_page(folder / "broken.html", twin.replace("temperature.mjs", "missing.mjs"))
    write_page(folder / "blank.html", "")
    return serve(folder)


@pytest.fixture
def figure_page(visit, pages):
    page, faults = visit(f"{pages}/figure.html")
    page.wait_for_selector('.contrastlab-figure[data-mounted="1"]')
    yield page
    assert not faults


def random_groups() -> list[dict[str, object]]:
    """Over 10,000 anchors over the slider's range: many K, ties, one negative, and both ends of tau."""
    random = np.random.default_rng(0)
    edges = ([[0.3], [1.0]], [[0.5] * 20], [[0.9, 0.9, -0.2]])
    groups = [{"rows": rows, "tau": tau} for tau in (0.01, 10.0) for rows in edges]
    for tau in 10 ** random.uniform(-2, 1, 500):
        rows = random.uniform(-1, 1, (20, random.integers(1, 40)))
        if random.random() < 0.3:
            rows = rows.round(1)  # ties
        groups.append({"rows": rows.tolist(), "tau": float(tau)})
    return groups


@pytest.mark.browser
def test_functions_in_javascript_equal_the_library(visit, pages):
    groups = random_groups()
    page, _ = visit(f"{pages}/blank.html")
    found = page.evaluate(
        """async (groups) => {
          const { relativePenalty, entropy, effectiveNegatives, penaltyInterval } =
            await import("/_static/widgets/mathematics.mjs");
          return groups.map(({ rows, tau }) => {
            const r = rows.map((s) => relativePenalty(s, tau));
            return { r, entropy: r.map(entropy), effective: r.map(effectiveNegatives),
                     interval: rows.map((s, i) => penaltyInterval(s, r[i], 0.95)) };
          });
        }""",
        groups,
    )
    assert sum(len(numbers["r"]) for numbers in found) >= 10_000
    for group, numbers in zip(groups, found, strict=True):
        assert_same_numbers(numbers, library_numbers_of(group["rows"], group["tau"]))


@pytest.mark.browser
def test_colour_in_javascript_is_the_books(visit, pages):
    taus = [0.005, 0.01, 0.013, 0.07, 0.3, 0.5, 1.7, 2.0, 10.0]
    page, _ = visit(f"{pages}/blank.html")
    found = page.evaluate(
        """async ([taus, colours]) => {
          const { tauColour } = await import("/_static/widgets/common.mjs");
          return taus.map((tau) => tauColour(tau, colours));
        }""",
        [taus, TemperatureFigure().colours],
    )
    for tau, colour in zip(taus, found, strict=True):
        assert _rgb(colour) == pytest.approx(_rgb(tau_colour(tau)), abs=4), tau


def _rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour.removeprefix("#")))


@pytest.mark.browser
def test_figure_shows_the_numbers_of_the_python_class(figure_page):
    figure, root = TemperatureFigure(), figure_page.locator(".contrastlab-temperature")
    assert_same_numbers(shown_numbers(root), library_numbers(figure.similarities, figure.tau))
    text = root.locator(".numbers").inner_text()
    for part in ("τ = 0.0700", f"{figure.effective_negatives:.1f} of 100", f"{figure.entropy:.2f} nats"):
        assert part in text


# Marks of the axes, [text, x or y], and what is drawn by them.
DRAWN = """(root) => {
  const value = (element, name) => Number(element.getAttribute(name));
  const all = (selector, read) => [...root.querySelectorAll(selector)].map(read);
  const texts = all("svg > text", (text) => [text.textContent, value(text, "x"), value(text, "y")]);
  const lines = all("line.grid", (line) => value(line, "y1"));
  const points = [...root.querySelector("polyline").points].map(({ x, y }) => [x, y]);
  const [interval, first, rest] = ["interval", "first", "rest"].map((name) => root.querySelector(`rect.${name}`));
  return {
    texts, lines, points, interval: value(interval, "x"), first: value(first, "width") / value(rest, "width"),
  };
}"""


@pytest.mark.browser
def test_what_is_drawn_is_what_the_library_computes(figure_page):
    figure_page.get_by_role("button", name="higher temperature").click()
    root, figure = figure_page.locator(".contrastlab-temperature"), TemperatureFigure()
    figure.tau = float(root.get_attribute("data-tau"))
    drawn = root.evaluate(DRAWN)
    powers = [np.log10(float(text.removesuffix(" %")) / 100) for text, x, _ in drawn["texts"] if x == 54]
    log_r = np.polyfit(drawn["lines"], powers, 1)  # the y of a line -> the share that is written beside it
    marks = {float(text.replace("−", "-")): x for text, x, y in drawn["texts"] if y == 276 and text != "1"}
    s = np.polyfit(list(marks.values()), list(marks), 1)
    x, y = np.array(drawn["points"]).T
    order = np.argsort(-np.array(figure.similarities), kind="stable")
    r = figure.r.numpy()[order]
    seen = np.log10(r) >= min(powers)
    np.testing.assert_allclose(np.polyval(s, x), np.array(figure.similarities)[order][seen], atol=2e-3)
    np.testing.assert_allclose(np.polyval(log_r, y), np.log10(r[seen]), atol=5e-3)
    assert np.polyval(s, drawn["interval"] + 4) == pytest.approx(figure.interval, abs=2e-3)  # 4 px for the dot
    assert drawn["first"] == pytest.approx(r[0], abs=1e-6)


@pytest.mark.browser
def test_still_picture_says_what_the_live_one_says(visit, pages):
    live, _ = visit(f"{pages}/figure.html")
    live.wait_for_selector('[data-mounted="1"]')
    spoken = live.locator(".numbers span").all_inner_texts()
    still, _ = visit(f"{pages}/figure.html", java_script_enabled=False)
    assert still.locator(".contrastlab-figure p").first.inner_text() == " | ".join(spoken)
    assert still.locator(".contrastlab-figure svg").is_visible()


@pytest.mark.browser
def test_task_is_reached_when_one_negative_takes_half(figure_page):
    root = figure_page.locator(".contrastlab-temperature")
    lower = figure_page.get_by_role("button", name="lower temperature")
    for _ in range(20):
        if max(shown_numbers(root)["r"]) >= 0.5:
            break
        assert root.get_attribute("data-reached") == "false"
        lower.click()
    assert root.get_attribute("data-reached") == "true"
    assert 0.01 < float(root.get_attribute("data-tau")) < 0.07


@pytest.mark.browser
def test_keyboard_alone_reaches_every_control(figure_page):
    root = figure_page.locator(".contrastlab-temperature")
    names = []
    for _ in range(3):
        figure_page.keyboard.press("Tab")
        names.append(figure_page.evaluate("document.activeElement.getAttribute('aria-label')"))
        outline = figure_page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"no visible focus on {names[-1]}"
    assert names == ["lower temperature", "temperature tau", "higher temperature"]

    slider = root.get_by_role("slider")
    slider.focus()
    for key, tau in (("Home", 0.01), ("End", 10), ("ArrowLeft", 9.77), ("ArrowDown", 9.55), ("ArrowUp", 9.77)):
        figure_page.keyboard.press(key)
        assert float(root.get_attribute("data-tau")) == tau, key
    assert slider.get_attribute("aria-valuetext") == "9.77"


@pytest.mark.browser
def test_slider_keeps_its_keys_from_the_host(figure_page):
    figure_page.evaluate("addEventListener('keydown', (event) => (window.seen ??= []).push(event.key))")
    figure_page.get_by_role("slider").focus()
    for key in ("ArrowLeft", "Home", "Shift+Enter"):
        figure_page.keyboard.press(key)
    assert figure_page.evaluate("window.seen") == ["Shift", "Enter"]


@pytest.mark.browser
def test_buttons_stop_at_the_ends(figure_page):
    root = figure_page.locator(".contrastlab-temperature")
    for key, button, end in (("Home", "lower", 0.01), ("End", "higher", 10)):
        figure_page.get_by_role("slider").press(key)
        figure_page.get_by_role("button", name=f"{button} temperature").click()
        assert float(root.get_attribute("data-tau")) == end


@pytest.mark.browser
def test_screen_reader_hears_the_numbers_once_it_rests(figure_page):
    spoken = figure_page.get_by_role("status")
    assert "temperature tau = 0.0700" in spoken.text_content()
    figure_page.evaluate(
        """() => {
          window.announcements = 0;
          new MutationObserver(() => window.announcements++)
            .observe(document.querySelector("[role=status]"), { childList: true });
        }"""
    )
    lower = figure_page.get_by_role("button", name="lower temperature")
    for _ in range(5):
        lower.dispatch_event("click")
    figure_page.wait_for_function("window.announcements > 0")
    assert figure_page.evaluate("window.announcements") == 1
    tau = float(figure_page.locator(".contrastlab-temperature").get_attribute("data-tau"))
    assert f"temperature tau = {tau:#.3g}, the hardest negative takes" in spoken.text_content()
    assert f"τ = {tau:#.3g}" in figure_page.get_by_role("img").get_attribute("aria-label")


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_figure_fits_the_page(visit, pages, width):
    page, faults = visit(f"{pages}/figure.html", viewport={"width": width, "height": 900})
    page.wait_for_selector('[data-mounted="1"]')
    root = page.locator(".contrastlab-temperature")
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0
    viewbox = [float(x) for x in root.locator("svg").get_attribute("viewBox").split()]
    assert viewbox[2] == pytest.approx(root.bounding_box()["width"], abs=1)  # drawn at its size: 12 px stay 12 px
    assert not faults


@pytest.mark.browser
def test_figure_is_drawn_anew_when_the_page_narrows(figure_page):
    svg = figure_page.locator(".contrastlab-temperature svg")
    assert svg.get_attribute("viewBox").split()[2] == "760"
    figure_page.set_viewport_size({"width": 400, "height": 800})
    figure_page.wait_for_function("document.querySelector('.contrastlab-temperature svg').viewBox.baseVal.width < 400")


@pytest.mark.browser
def test_nothing_moves_by_itself(figure_page):
    figure_page.get_by_role("button", name="lower temperature").click()
    assert figure_page.evaluate("document.getAnimations().length") == 0


@pytest.mark.browser
def test_host_that_throws_does_not_break_the_figure(visit, pages):
    page, faults = visit(f"{pages}/blank.html")
    after = page.evaluate(
        """async () => {
          const { default: widget } = await import("/_static/widgets/temperature.mjs");
          const state = { tau: 0.07, similarities: [0.9, 0.5] };
          const refuse = () => { throw new Error("no kernel"); };
          const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; },
                          on() {}, off: refuse, save_changes: refuse, send: refuse };
          const cleanup = await widget.render({ model, el: document.body });
          document.querySelector("button").click();
          const tau = document.querySelector(".contrastlab-temperature").dataset.tau;
          cleanup();
          return { tau, left: document.querySelectorAll(".contrastlab-temperature").length };
        }"""
    )
    assert after == {"tau": "0.0556", "left": 0}
    assert not faults


@pytest.mark.browser
def test_two_views_of_one_model_move_together_until_one_is_removed(visit, pages):
    page, faults = visit(f"{pages}/blank.html")
    taus = page.evaluate(
        """async () => {
          const { default: widget } = await import("/_static/widgets/temperature.mjs");
          const state = { tau: 0.5, similarities: [0.9, 0.5], labels: ["shirt", "boot"] }, handlers = new Set();
          const model = { get: (name) => state[name], on: (event, handler) => handlers.add(handler),
                          off: (event, handler) => handlers.delete(handler), save_changes() {},
                          set(name, value) { state[name] = value; handlers.forEach((handler) => handler()); } };
          const first = await widget.render({ model, el: document.body });
          await widget.render({ model, el: document.body });
          document.querySelector("button").click();
          const taus = [...document.querySelectorAll(".contrastlab-temperature")].map((root) => root.dataset.tau);
          first();
          return [...taus, handlers.size];
        }"""
    )
    assert taus == ["0.397", "0.397", 1]
    assert "shirt" in page.get_by_role("img").get_attribute("aria-label")
    assert not faults


@pytest.mark.browser
def test_figure_that_cannot_mount_keeps_its_still_picture_and_says_so(visit, pages):
    page, _ = visit(f"{pages}/broken.html")
    note = page.wait_for_selector(".contrastlab-note")
    assert "could not be made interactive" in note.inner_text()
    assert page.locator(".contrastlab-figure svg").is_visible()
    assert page.locator('[data-mounted="1"]').count() == 0


@pytest.mark.browser
def test_visit_notices_every_kind_of_fault(visit, pages):
    page, faults = visit(f"{pages}/blank.html")
    assert not faults
    page.evaluate(
        """() => {
          console.error("said so");
          setTimeout(() => { throw new Error("thrown"); });
          document.body.append(Object.assign(new Image(), { src: "/missing.png" }));
          document.body.append(Object.assign(new Image(), { src: "http://127.0.0.1:1/other-host.png" }));
        }"""
    )
    page.wait_for_timeout(300)
    kinds = ("console: said so", "page error: thrown", "/missing.png", "request to another host", "request failed")
    for fault in kinds:
        assert any(fault in found for found in faults), fault


def run_browser_test(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "test_one.py").write_text("def test_one(browser):\n    pass\n")
    nowhere = {"PATH": str(folder), "PLAYWRIGHT_BROWSERS_PATH": str(folder), "CONTRASTLAB_REQUIRE_BROWSER": ""}
    inherited = {name: value for name, value in os.environ.items() if name != "CONTRASTLAB_CHROMIUM"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--rootdir", folder, folder],
        env=inherited | nowhere | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_browser_tests_are_skipped_with_the_command_that_helps(tmp_path):
    done = run_browser_test(tmp_path)
    assert done.returncode == 0
    assert "1 skipped" in done.stdout
    assert "python -m playwright install chromium" in done.stdout


def test_without_a_browser_tests_fail_where_one_is_required(tmp_path):
    done = run_browser_test(tmp_path, CONTRASTLAB_REQUIRE_BROWSER="1")
    assert done.returncode == 1
    assert "1 error" in done.stdout
    assert "apt-get install chromium" in done.stdout
