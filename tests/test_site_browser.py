"""The website as a reader meets it: every page of a site built from the committed notebooks, in a real browser."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from colour_contrast import contrast
from conftest import collect_faults
from figure_numbers import assert_same_numbers, library_numbers, shown_numbers

WIDGET_PAGE = "04-what-temperature-does.html"
HEAVIEST = 1_500_000  # bytes that a page may transfer, compressed
FETCHED_LATER = "ten-temperatures.bin"  # figure 4's own data, 2 MB at most, has a test of its own

WAITING = ".contrastlab-figure:not([data-mounted], :has(.contrastlab-note))"  # a figure neither alive nor given up


@dataclass(frozen=True)
class Visit:
    """What was found on one page: faults, figures that are not and are alive, pixels too wide, bytes compressed."""

    faults: list[str]
    dead: int
    alive: int
    overflow: int
    weight: int


@pytest.fixture(scope="module")
def visited(browser, site_url, page_names) -> dict[str, Visit]:
    return {name: look_at(browser, site_url, name) for name in page_names}


def look_at(browser, site_url: str, name: str) -> Visit:
    context = browser.new_context()
    page, faults, responses = context.new_page(), [], {}
    collect_faults(page, faults, host=site_url.split("/")[2])
    page.on("response", lambda response: responses.setdefault(response.url, response))
    page.goto(f"{site_url}/{name}", wait_until="networkidle")
    page.wait_for_function(f"!document.querySelector('{WAITING}')")
    dead = page.locator(".contrastlab-figure:not([data-mounted='1'])").count()
    alive = page.locator(".contrastlab-figure[data-mounted='1']").count()
    fetched = [r for url, r in responses.items() if url.startswith("http") and not url.endswith(FETCHED_LATER)]
    weight = sum(len(gzip.compress(response.body(), 6)) for response in fetched)
    page.set_viewport_size({"width": 390, "height": 844})
    overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    context.close()
    return Visit(faults, dead, alive, overflow, weight)


@pytest.fixture
def figure(visit, site_url) -> Callable:
    """figure(**context options) -> the mounted figure of chapter 4 and the list of the page's faults."""

    def mounted(**options: object) -> tuple:
        page, faults = visit(f"{site_url}/{WIDGET_PAGE}", **options)
        page.locator(".contrastlab-figure[data-mounted='1']").first.wait_for()
        return page.locator(".contrastlab-temperature").first, faults

    return mounted


def state_of(root) -> tuple[float, str, bytes]:
    """What a reader sees of the figure: its temperature, the markup of the picture and its pixels."""
    svg = root.locator("svg")
    return float(root.get_attribute("data-tau")), svg.inner_html(), svg.screenshot()


def assert_moved(before: tuple, after: tuple) -> None:
    for earlier, later in zip(before, after, strict=True):
        assert earlier != later


def assert_numbers_are_the_librarys(root) -> None:
    model = root.locator("xpath=ancestor::*[contains(@class, 'contrastlab-figure')]").get_attribute("data-model")
    tau = float(root.get_attribute("data-tau"))
    expected = library_numbers(json.loads(model)["similarities"], tau)
    assert_same_numbers(shown_numbers(root), expected)
    text = root.locator(".numbers").inner_text()
    for part in (f"τ = {tau:#.3g}", f"{expected['effective']:.1f} of", f"{expected['entropy']:.2f} nats"):
        assert part in text


@pytest.mark.browser
def test_every_page_loads_without_a_fault(visited):
    assert {"index.html", "search.html", WIDGET_PAGE} <= set(visited)
    assert [f"{name}: {fault}" for name, seen in visited.items() for fault in seen.faults] == []


@pytest.mark.browser
def test_every_figure_is_alive(visited):
    assert {name: seen.dead for name, seen in visited.items() if seen.dead} == {}
    assert visited["index.html"].alive == 1
    assert visited[WIDGET_PAGE].alive >= 1


@pytest.mark.browser
def test_every_page_fits_a_phone(visited):
    assert {name: seen.overflow for name, seen in visited.items() if seen.overflow > 0} == {}


@pytest.mark.browser
def test_every_page_is_light(visited):
    assert {name: seen.weight for name, seen in visited.items() if seen.weight > HEAVIEST} == {}
    assert visited[WIDGET_PAGE].weight > 200_000  # with its figures and MathJax


@pytest.mark.browser
@pytest.mark.parametrize("name", [WIDGET_PAGE, "01-two-views-of-one-image.html"])
def test_a_chapter_is_readable_before_scripts_run(visit, site_url, name):
    page, _ = visit(f"{site_url}/{name}", java_script_enabled=False)
    assert page.locator("article h1").is_visible() and page.locator("nav.bd-links a").first.is_visible()
    images = page.locator("article figure img")
    assert images.count() >= 3
    for number in range(images.count()):
        images.nth(number).scroll_into_view_if_needed()
        assert images.nth(number).bounding_box()["height"] > 100
    formula = page.locator("article span.math").first
    assert formula.is_visible() and formula.inner_text().startswith("\\(")  # TeX, as its author wrote it


@pytest.mark.browser
def test_the_site_works_in_a_folder_of_a_larger_one(visit, serve, site_folder):
    url = f"{serve(site_folder.parent)}/{site_folder.name}"
    page, faults = visit(f"{url}/{WIDGET_PAGE}", wait_until="networkidle")
    page.locator(".contrastlab-figure[data-mounted='1']").first.wait_for()
    page.locator(".prev-next-area a.right-next").click()
    page.wait_for_url(f"{url}/05-a-world-of-points.html", wait_until="networkidle")
    page.goto(f"{url}/search.html?q=temperature")
    page.locator(f'#search-results li a[href*="{WIDGET_PAGE}"]').first.wait_for()
    assert not faults


@pytest.mark.browser
def test_keyboard_moves_the_picture_and_the_numbers(figure):
    root, faults = figure()
    before = state_of(root)
    root.get_by_role("slider").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        root.page.keyboard.press(key)
    after = state_of(root)
    assert_moved(before, after)
    assert after[0] > before[0]
    assert_numbers_are_the_librarys(root)
    for key, tau in (("Home", 0.01), ("End", 10)):
        root.page.keyboard.press(key)
        assert float(root.get_attribute("data-tau")) == tau
        assert_numbers_are_the_librarys(root)
    assert not faults


@pytest.mark.browser
def test_buttons_move_the_picture_and_the_numbers(figure):
    root, faults = figure()
    start = state_of(root)
    root.get_by_role("button", name="lower temperature").click()
    lower = state_of(root)
    assert_moved(start, lower)
    assert lower[0] == pytest.approx(start[0] / 10**0.1, rel=0.01)
    assert_numbers_are_the_librarys(root)
    root.get_by_role("button", name="higher temperature").click()
    assert float(root.get_attribute("data-tau")) == pytest.approx(start[0], rel=0.01)
    assert not faults


@pytest.mark.browser
def test_mouse_drags_the_temperature(figure):
    root, faults = figure()
    slider = root.get_by_role("slider")
    slider.scroll_into_view_if_needed()
    before, box, mouse = state_of(root), slider.bounding_box(), root.page.mouse
    middle = box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] / 2, middle)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.8, middle, steps=4)
    mouse.up()
    after = state_of(root)
    assert_moved(before, after)
    assert after[0] == pytest.approx(10 ** (-2 + 3 * 0.8), rel=0.2)
    assert_numbers_are_the_librarys(root)
    assert not faults


@pytest.mark.browser
def test_touch_moves_the_temperature_on_a_phone(figure):
    root, faults = figure(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    before = state_of(root)
    root.get_by_role("button", name="lower temperature").tap()
    lower = state_of(root)
    assert_moved(before, lower)
    slider = root.get_by_role("slider")
    slider.tap(position={"x": slider.bounding_box()["width"] / 2, "y": 20})
    assert_moved(lower, state_of(root))
    assert_numbers_are_the_librarys(root)
    assert root.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not faults


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figure_is_readable_in_light_and_dark(figure, scheme):
    root, faults = figure(color_scheme=scheme)
    assert root.page.evaluate("document.documentElement.dataset.theme") == scheme
    for part in (".task", ".numbers", "svg text"):
        ink, paper = root.locator(part).first.evaluate(INK_AND_PAPER)
        assert contrast(ink, paper) >= 4.5, f"{part}: {ink} on {paper}"
    assert not faults


# The colour of an element's text, and of the nearest background behind it that is not transparent.
INK_AND_PAPER = """(element) => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const paper = (behind) => getComputedStyle(behind).backgroundColor;
  const ink = getComputedStyle(element)[element.namespaceURI.endsWith("svg") ? "fill" : "color"];
  let behind = element;
  while (numbers(paper(behind))[3] === 0 && behind.parentElement) behind = behind.parentElement;
  return [ink, paper(behind)].map((colour) => numbers(colour).slice(0, 3));
}"""


@pytest.mark.browser
def test_reader_switches_to_dark_and_back(figure):
    root, faults = figure(color_scheme="light")
    before = root.locator("svg").screenshot()
    root.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    root.page.wait_for_timeout(300)  # the theme fades some colours
    assert root.locator("svg").screenshot() != before
    assert not faults


@pytest.mark.browser
def test_without_javascript_the_still_picture_stays(visit, site_url):
    page, _ = visit(f"{site_url}/{WIDGET_PAGE}", java_script_enabled=False)
    figure = page.locator(".contrastlab-figure").first
    assert figure.locator("svg").is_visible()
    assert "temperature τ = " in figure.inner_text()
    assert page.get_by_role("slider").count() == 0


@pytest.mark.browser
def test_search_finds_a_chapter(visit, site_url):
    page, faults = visit(f"{site_url}/search.html?q=temperature")
    # Results are listed one by one; waiting for this one fails, with a timeout, if it never comes.
    page.locator(f'#search-results li a[href*="{WIDGET_PAGE}"]').first.wait_for()
    assert not faults
