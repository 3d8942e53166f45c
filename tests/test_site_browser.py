"""The website as a reader meets it: every page of a site built from the committed notebooks, in a real browser."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import figure_catalogue
from colour_contrast import contrast
from conftest import collect_faults
from figure_numbers import assert_same_numbers, library_numbers, shown_numbers
from site_pages import CHAPTERS, MOUNTING, PAGES, TWO_FRAMES

WIDGET_PAGE = "04-what-temperature-does.html"
HEAVIEST = 1_500_000  # bytes that a page may transfer, compressed
FETCHED_LATER = "ten-temperatures.bin"  # figure 4's own data, 2 MB at most, has a test of its own
FIGURES = {  # the page that has the figure -> its class
    "index.html": "WorldFigure",
    "02-the-contrastive-loss.html": "AnatomyFigure",
    "03-its-gradient-is-a-softmax.html": "AnatomyFigure",
    WIDGET_PAGE: "TemperatureFigure",
    "05-a-world-of-points.html": "WorldFigure",
    "07-ten-temperatures.html": "TenTemperaturesFigure",
}
WIDTHS = (390, 768, 1024, 1440, 1920)  # px: a phone, a tablet both ways, a laptop, a wide screen

# The notes in the margin, where there is one, that touch the text or what stands to its right, or leave the page.
NOTES_IN_THE_WAY = """() => {
  const box = (selector) => document.querySelector(selector)?.getBoundingClientRect();
  const text = box(".bd-article > section"), contents = box(".bd-sidebar-secondary");
  const end = contents?.width ? contents.left : innerWidth;
  const notes = [...document.querySelectorAll(".symbol-note")].filter((e) => getComputedStyle(e).float === "right");
  const lines = notes.flatMap((e) => [e, ...e.querySelectorAll("*")]);
  const fits = ({ left, right }) => left >= text.right && right <= end;
  return [notes.length, lines.filter((e) => !fits(e.getBoundingClientRect())).map((e) => e.outerHTML.slice(0, 120))];
}"""

# What is cut off, or scrolls sideways where the keyboard does not get to scroll it.
OUT_OF_REACH = """() => [...document.querySelectorAll("article *")]
  .filter((e) => e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1 && e.checkVisibility())
  .filter((e) => !e.closest("mjx-container") && getComputedStyle(e).overflowX !== "visible")
  .filter((e) => e.tabIndex !== 0 || !/auto|scroll/.test(getComputedStyle(e).overflowX))
  .map((e) => e.outerHTML.slice(0, 120))"""


@dataclass(frozen=True)
class Visit:
    """What was found on one page: faults, figures that are not and are alive, bytes compressed, and at each of WIDTHS
    pixels too wide, what is out of reach, the number of notes in the margin, and those of them that are in the way."""

    faults: list[str]
    dead: int
    alive: int
    weight: int
    overflow: dict[int, int]
    out_of_reach: dict[int, list[str]]
    notes: dict[int, int]
    in_the_way: dict[int, list[str]]


@pytest.fixture(scope="module")
def visited(browser, site_url, page_names) -> dict[str, Visit]:
    return {name: look_at(browser, site_url, name) for name in page_names}


def look_at(browser, site_url: str, name: str) -> Visit:
    context = browser.new_context()
    page, faults, responses = context.new_page(), [], {}
    collect_faults(page, faults, host=site_url.split("/")[2])
    page.on("response", lambda response: responses.setdefault(response.url, response))
    page.goto(f"{site_url}/{name}", wait_until="networkidle")
    page.wait_for_function(f"!document.querySelector('{MOUNTING}')")
    dead = page.locator(".contrastlab-figure:not([data-mounted='1'])").count()
    alive = page.locator(".contrastlab-figure[data-mounted='1']").count()
    fetched = [r for url, r in responses.items() if url.startswith("http") and not url.endswith(FETCHED_LATER)]
    weight = sum(len(gzip.compress(response.body(), 6)) for response in fetched)
    overflow, out_of_reach, notes, in_the_way = {}, {}, {}, {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(TWO_FRAMES)
        overflow[width] = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        out_of_reach[width] = page.evaluate(OUT_OF_REACH)
        notes[width], in_the_way[width] = page.evaluate(NOTES_IN_THE_WAY)
    context.close()
    return Visit(faults, dead, alive, weight, overflow, out_of_reach, notes, in_the_way)


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
    assert sorted(visited) == sorted(PAGES)
    assert [f"{name}: {fault}" for name, seen in visited.items() for fault in seen.faults] == []


@pytest.mark.browser
def test_every_figure_is_alive(visited):
    assert {name: seen.dead for name, seen in visited.items() if seen.dead} == {}
    assert {name: seen.alive for name, seen in visited.items() if seen.alive} == dict.fromkeys(FIGURES, 1)


@pytest.mark.browser
def test_every_page_fits_every_screen(visited):
    assert {name: seen.overflow for name, seen in visited.items() if max(seen.overflow.values()) > 0} == {}


@pytest.mark.browser
def test_nothing_is_cut_off_and_what_is_too_wide_scrolls_by_key(visited):
    found = {(name, width): cut for name, seen in visited.items() for width, cut in seen.out_of_reach.items() if cut}
    assert found == {}


@pytest.mark.browser
def test_notes_stand_in_the_margin_of_a_wide_screen_and_in_no_ones_way(visited):
    for name in CHAPTERS:
        seen = visited[name]
        assert seen.notes[1024] == 0 < seen.notes[1440] == seen.notes[1920], name
        assert not any(seen.in_the_way.values()), f"{name}: {seen.in_the_way}"


@pytest.mark.browser
def test_every_page_is_light(visited):
    assert {name: seen.weight for name, seen in visited.items() if seen.weight > HEAVIEST} == {}
    assert visited[WIDGET_PAGE].weight > 200_000  # with its figures and MathJax


@pytest.mark.browser
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_is_readable_before_scripts_run(visit, site_url, name):
    page, _ = visit(f"{site_url}/{name}", java_script_enabled=False)
    assert page.locator("article h1").is_visible() and page.locator("nav.bd-links a").first.is_visible()
    pictures = page.locator("article figure img, .contrastlab-figure > svg").all()
    assert pictures
    for picture in pictures:
        picture.scroll_into_view_if_needed()
        assert picture.bounding_box()["height"] > 100
    formula = page.locator("article span.math").first
    assert formula.is_visible() and formula.inner_text().startswith("\\(")  # TeX, as its author wrote it


@pytest.mark.browser
def test_the_site_works_in_a_folder_of_a_larger_one(visit, serve, site_folder):
    url = f"{serve(site_folder.parent)}/{site_folder.name}"
    page, faults = visit(f"{url}/{WIDGET_PAGE}", wait_until="networkidle")
    page.locator(".contrastlab-figure[data-mounted='1']").first.wait_for()
    page.locator(".prev-next-area a.right-next").click()
    page.wait_for_url(f"{url}/05-a-world-of-points.html", wait_until="networkidle")
    for name in ("index.html", "07-ten-temperatures.html"):  # the figure of chapter 7 fetches its data
        page.goto(f"{url}/{name}")
        page.locator(".contrastlab-figure[data-mounted='1']").wait_for()
    page.goto(f"{url}/search.html?q=temperature")
    page.locator(f'#search-results li a[href*="{WIDGET_PAGE}"]').first.wait_for()
    assert not faults


@pytest.mark.browser
@pytest.mark.parametrize("name", FIGURES)
def test_a_key_a_button_and_a_touch_move_every_figure(visit, site_url, name):
    page, faults = visit(f"{site_url}/{name}", has_touch=True)
    page.locator(".contrastlab-figure[data-mounted='1']").wait_for()
    figure = FIGURES[name]
    root = page.locator(f".{figure_catalogue.css_class(figure)}")
    moves = [
        (lambda: root.get_by_role("slider", name="temperature tau").press("ArrowLeft"), "colder"),
        (lambda: root.get_by_role("button", name="lower temperature").click(), "colder"),
        (lambda: root.get_by_role("button", name="higher temperature").tap(), "warmer"),
    ]
    before = numbers_of(root, figure)
    for move, direction in moves:
        move()
        after = numbers_of(root, figure)
        assert (after["tau"] < before["tau"]) is (direction == "colder")
        assert sum(after[number] != before[number] for number in before) > 1, f"only the temperature moved: {after}"
        before = after
    assert not faults


def numbers_of(root, figure: str) -> dict[str, object]:
    """The figure's numbers; those of a world of points, which starts again with each move, once its points flow."""
    root.scroll_into_view_if_needed()
    root.page.wait_for_function("(e) => Number(e.dataset.steps ?? 3) > 2", arg=root.element_handle())
    return figure_catalogue.shown_numbers(root, figure)


@pytest.mark.browser
def test_the_world_of_the_title_page_runs_by_itself(visit, site_url):
    page, faults = visit(f"{site_url}/index.html")
    root = page.locator(".contrastlab-figure[data-mounted='1'] .contrastlab-world")
    root.scroll_into_view_if_needed()
    early = root.locator("canvas").screenshot()
    for steps in (5, 20):
        page.wait_for_function("([e, steps]) => e.dataset.steps > steps", arg=[root.element_handle(), steps])
    assert root.locator("canvas").screenshot() != early
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
