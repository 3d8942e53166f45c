"""Everyone can read the site: axe-core finds no fault, the keyboard reaches all, figures keep their contrast."""

import base64
import io

import pytest
from PIL import Image

from colour_contrast import contrast
from conftest import without_browser
from contrastlab import figures
from site_pages import MOUNTING, PAGES, TWO_FRAMES

CHAPTER = "03-its-gradient-is-a-softmax.html"
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"
CODE = ".highlight"  # its words are coloured alike everywhere, and axe asks each for its contrast: one page is enough
COLOURS = ("color-contrast", "link-in-text-block")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def reader(browser, site_url):
    """A page whose formulas stay TeX: axe needs minutes for their thousands of parts. One test below has them."""
    context = browser.new_context(reduced_motion="reduce")
    context.route("**/mathjax/**", lambda route: route.abort())
    yield context.new_page()
    context.close()


def show(page, address: str, scheme: str = "light", size: dict[str, int] = DESK) -> None:
    """Open the page with its figures alive and all that is folded unfolded."""
    page.set_viewport_size(size)
    page.goto(address)
    page.wait_for_function(f"!document.querySelector('{MOUNTING}')")
    page.add_style_tag(content=STILL)
    page.evaluate("document.querySelectorAll('article details').forEach((e) => { e.open = true; })")
    page.evaluate("(scheme) => { document.documentElement.dataset.theme = scheme; }", scheme)
    page.evaluate(TWO_FRAMES)  # so that what has its size only now is made reachable by key, if it scrolls


def violations(page, *, exclude: str = "", only: tuple[str, ...] = ()) -> list[str]:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        without_browser("axe is not installed. Run `python -m pip install axe-playwright-python`.")
    options = {"resultTypes": ["violations"]} | ({"runOnly": list(only)} if only else {})
    context = {"exclude": [[exclude]]} if exclude else None
    found = Axe().run(page, context=context, options=options).response["violations"]
    return [f"{rule['id']}: {node['target']} {node['html'][:120]}" for rule in found for node in rule["nodes"]]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_violation_on_any_page_in_light_or_dark(reader, site_url, name, scheme):
    show(reader, f"{site_url}/{name}", scheme)
    assert violations(reader, exclude=CODE) == []


@pytest.mark.browser
def test_axe_finds_no_violation_in_code_in_light_or_dark(reader, site_url):
    for scheme in ("light", "dark"):
        show(reader, f"{site_url}/{CHAPTER}", scheme)
        assert violations(reader) == []


@pytest.mark.browser
@pytest.mark.parametrize("name", ["index.html", CHAPTER, "12-the-reproduction-report.html"])
def test_axe_finds_no_violation_on_a_phone(reader, site_url, name):
    show(reader, f"{site_url}/{name}", "dark", PHONE)
    assert violations(reader, exclude=CODE) == []


@pytest.mark.browser
def test_axe_finds_no_violation_in_formulas_and_each_is_there_for_a_screen_reader(visit, site_url):
    page, _ = visit(f"{site_url}/01-two-views-of-one-image.html", wait_until="networkidle")
    formulas = page.locator("mjx-container")
    assert formulas.count() > 5
    assert page.locator("mjx-assistive-mml math").count() == formulas.count()
    assert violations(page, exclude=CODE) == []


# Every place that the keyboard stops at, in the order of the page; from now on the page notes where the focus went, and
# whether a reader sees that it is there.
STOPS = """() => {
  const stops = [...document.querySelectorAll("a[href], button, summary, input, select, textarea, [tabindex]")]
    .filter((e) => e.tabIndex === 0 && !e.disabled && !e.closest("dialog:not([open])")
                   && e.checkVisibility({ visibilityProperty: true }));
  window.walked = [];
  addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
    walked.push([stops.indexOf(target), seen, target.outerHTML.slice(0, 120)]);
  });
  return stops.length;
}"""


def walk(page) -> int:
    """Press Tab from the top to the end of the page and one step further; returns at how many places it stopped."""
    assert page.locator("[tabindex]:not([tabindex='0'], [tabindex='-1'])").count() == 0
    stops = page.evaluate(STOPS)
    for _ in range(stops):
        page.keyboard.press("Tab")
    walked = page.evaluate("walked")
    for number, (stop, _, markup) in enumerate(walked):
        assert stop == number, f"stop {number} was to come, not {markup}"
    assert len(walked) == stops
    assert [markup for _, seen, markup in walked if not seen] == []
    last = page.evaluate_handle("document.activeElement")
    page.keyboard.press("Tab")
    assert page.evaluate("(last) => document.activeElement !== last", last), "the last place lets nobody go on"
    return stops


@pytest.mark.browser
@pytest.mark.parametrize("name", PAGES)
def test_the_keyboard_reaches_all_in_the_order_of_the_page_and_is_seen_everywhere(reader, site_url, name):
    show(reader, f"{site_url}/{name}")
    assert walk(reader) > 15


@pytest.mark.browser
def test_formulas_make_no_stop_that_is_unseen_or_out_of_order(visit, site_url):
    page, _ = visit(f"{site_url}/{CHAPTER}", wait_until="networkidle", reduced_motion="reduce")
    page.wait_for_function(f"!document.querySelector('{MOUNTING}')")
    assert walk(page) > 40


@pytest.mark.browser
def test_the_skip_link_comes_first_and_leads_to_the_text(visit, site_url):
    page, _ = visit(f"{site_url}/{CHAPTER}")
    page.keyboard.press("Tab")
    link = page.locator("#pst-skip-link a")
    assert page.evaluate("document.activeElement.textContent") == link.inner_text() == "Skip to main content"
    page.wait_for_function("document.activeElement.getBoundingClientRect().y >= 0")  # it slides in
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.browser
@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_solution_opens_and_closes_by_key(visit, site_url, key):
    page, _ = visit(f"{site_url}/{CHAPTER}")
    solution = page.locator("details.hide").first
    solution.locator("summary").focus()
    for is_open in (True, False):
        page.keyboard.press(key)
        assert solution.evaluate("(e) => e.open") is is_open


# What scrolls sideways, and whether the keyboard can get there to scroll it.
SCROLLERS = """() => [...document.querySelectorAll("article *")]
  .filter((e) => e.scrollWidth > e.clientWidth + 1 && e.checkVisibility())
  .filter((e) => /auto|scroll/.test(getComputedStyle(e).overflowX))
  .map((e) => [e.tabIndex, e.outerHTML.slice(0, 120)])"""


@pytest.mark.browser
@pytest.mark.parametrize("name", [CHAPTER, "07-ten-temperatures.html", "08-hard-negatives-on-purpose.html"])
def test_all_that_is_wider_than_a_phone_scrolls_by_key(visit, site_url, name):
    page, _ = visit(f"{site_url}/{name}", wait_until="networkidle", viewport=PHONE)
    scrollers = page.evaluate(SCROLLERS)
    assert scrollers
    assert [markup for tab_index, markup in scrollers if tab_index != 0] == []
    page.locator("article [tabindex='0']:is(pre, div)").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


SIDE = 24  # pixels of a swatch


def swatches(colours: list[str]) -> str:
    """A picture of the colours side by side, as an address."""
    image = Image.new("RGB", (SIDE * len(colours), SIDE))
    for place, colour in enumerate(colours):
        image.paste(colour, (SIDE * place, 0, SIDE * (place + 1), SIDE))
    stream = io.BytesIO()
    image.save(stream, "png")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def shown_colours(page, colours: list[str], name: str) -> list[tuple[int, int, int]]:
    """What a reader sees of the colours in a figure's image whose class is as given."""
    image = page.locator("article figure img").first
    image.evaluate("(e, [address, name]) => { e.className = name; e.src = address; }", [swatches(colours), name])
    image.evaluate("(e) => e.decode()")
    pixels = Image.open(io.BytesIO(image.screenshot())).convert("RGB")
    step = pixels.width / len(colours)
    return [pixels.getpixel((int(step * (place + 0.5)), pixels.height // 2)) for place in range(len(colours))]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_have_the_ground_of_the_page_and_their_contrast_on_it(visit, site_url, scheme):
    page, _ = visit(f"{site_url}/{CHAPTER}", color_scheme=scheme)
    inks = [figures.INK, figures.MUTED, *map(figures.tau_colour, (0.01, 0.03, 0.07, 0.2, 0.5, 1, 2))]
    ground, *shown = shown_colours(page, ["#ffffff", *inks], "")
    paper = [int(c) for c in page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")][:3]
    assert max(abs(a - b) for a, b in zip(ground, paper, strict=True)) <= 1
    for ink, colour in zip(inks, shown, strict=True):
        assert contrast(colour, paper) >= 4.5, f"{ink} is shown as {colour} on {paper}"


@pytest.mark.browser
def test_photographs_keep_black_black_in_the_dark(visit, site_url):
    page, _ = visit(f"{site_url}/{CHAPTER}", color_scheme="dark")
    black, grey, white = map(sum, shown_colours(page, ["#000000", "#808080", "#ffffff"], "photograph"))
    assert black < 20 < grey < white < 3 * 235  # and white does not glare
    turned = [sum(colour) for colour in shown_colours(page, ["#000000", "#ffffff"], "")]
    assert turned[0] > turned[1]


@pytest.mark.browser
def test_paper_is_light_also_where_the_screen_was_dark(visit, site_url):
    page, _ = visit(f"{site_url}/{CHAPTER}", color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(18, 18, 18)"
    page.add_style_tag(content=STILL)
    page.emulate_media(media="print")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    white, black = shown_colours(page, ["#ffffff", "#000000"], "")
    assert min(white) > 250 and max(black) < 5
    assert violations(page, only=COLOURS) == []
