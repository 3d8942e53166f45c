"""The website as a reader meets it: every page of a site built from the committed notebooks, in a real browser."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import numpy as np
import pytest

from contrastlab import manifest, site
from figure_numbers import assert_same_numbers, library_numbers, shown_numbers

WIDGET_PAGE = "04-what-temperature-does.html"


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory) -> Path:
    book = manifest.load()
    return site.build(book, book.folder, tmp_path_factory.mktemp("site") / "html").parent


@pytest.fixture(scope="session")
def site_url(site_folder, serve) -> str:
    return serve(site_folder)


@pytest.fixture(scope="session")
def page_names(site_folder) -> list[str]:
    static = site_folder / "_static"
    paths = (path for path in sorted(site_folder.rglob("*.html")) if static not in path.parents)
    return [path.relative_to(site_folder).as_posix() for path in paths]


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
def test_every_page_loads_without_a_fault_fits_a_phone_and_is_alive(visit, site_url, page_names):
    assert {"index.html", "search.html", WIDGET_PAGE} <= set(page_names)
    found, figures = [], 0
    for name in page_names:
        page, faults = visit(f"{site_url}/{name}", wait_until="networkidle")
        dead = page.locator(".contrastlab-figure:not([data-mounted='1'])").count()
        figures += page.locator(".contrastlab-figure[data-mounted='1']").count()
        page.set_viewport_size({"width": 390, "height": 844})
        overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        page.context.close()
        found += [f"{name}: {fault}" for fault in faults]
        found += [f"{name}: {dead} figures are not alive"] if dead else []
        found += [f"{name}: {overflow} px wider than a phone"] if overflow > 0 else []
    assert not found
    assert figures > 0


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


def contrast(ink: list[float], paper: list[float]) -> float:
    """The contrast ratio of two sRGB colours as WCAG 2 defines it, 1 to 21."""
    channels = np.array([ink, paper]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)


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


class Links(HTMLParser):
    """The addresses that a page points to or loads, and the names that can be pointed to."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.addresses, self.names = [], set()
        self.feed(markup)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src") and value:
                self.addresses.append(value)
            elif name == "id" or (tag == "a" and name == "name"):
                self.names.add(value)


def test_every_internal_link_leads_somewhere(site_folder, page_names):
    pages = {name: Links((site_folder / name).read_text("utf-8")) for name in page_names}
    broken, checked = [], 0
    for name, page in pages.items():
        for address in page.addresses:
            path, fragment = urldefrag(address)
            parts = urlsplit(path)
            if parts.scheme or parts.netloc:
                continue
            checked += 1
            target = (site_folder / name).parent / unquote(parts.path) if parts.path else site_folder / name
            if not target.resolve().is_file():
                broken.append(f"{name}: no file {address}")
                continue
            linked = pages.get(target.resolve().relative_to(site_folder.resolve()).as_posix())
            if fragment and linked and unquote(fragment) not in linked.names:
                broken.append(f"{name}: no place {address}")
    assert not broken
    assert checked > len(page_names)
