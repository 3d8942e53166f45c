"""The figure of chapter 7 in a browser: it shows the records' numbers, by mouse, keyboard and touch."""

import json
from pathlib import Path

import pytest

from colour_contrast import GROUNDS
from contrastlab import widgets
from contrastlab.figures import tau_colour
from contrastlab.widgets import TenTemperaturesFigure
from contrastlab.widgets import ten_temperatures_data as figure_data
from figure_pages import lay_out, write_page

PACKAGE = Path(widgets.__file__).parents[1]
TAUS = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)
EDGE = 12  # px around the map
QUANTUM = 2e-5  # similarities travel as int16


@pytest.fixture(scope="module")
def pages(serve, tmp_path_factory) -> str:
    """The address of a folder that is laid out as the site: the figure, its modules, its data and the mounter."""
    folder = tmp_path_factory.mktemp("pages")
    for place in ("whole", "without-data"):
        write_page(lay_out(folder / place) / "figure.html", TenTemperaturesFigure().twin())
    write_page(folder / "whole" / "blank.html", "")
    (folder / "whole" / "_static" / "figure.mjs").write_text(TenTemperaturesFigure._esm)
    figure_data.write_for_site(folder / "whole" / "_static" / "figures")
    return serve(folder)


@pytest.fixture
def mounted(visit, pages):
    """mounted(**context options) -> the page with the figure; no fault may happen until the test ends."""
    found = []

    def open_figure(**options: object):
        page, faults = visit(f"{pages}/whole/figure.html", **options)
        page.wait_for_selector('.contrastlab-figure[data-mounted="1"]')
        found.append(faults)
        return page

    yield open_figure
    assert not any(found)


def root_of(page):
    return page.locator(".contrastlab-ten-temperatures")


def told(root) -> dict[str, object]:
    """What the figure says of itself on its root element."""
    data = root.evaluate("(root) => ({ ...root.dataset })")
    return {name: json.loads(value) for name, value in data.items()}


def come_to_rest(page) -> None:
    page.wait_for_selector('.map[data-moving="false"]')


def press(page, name: str, times: int = 1) -> None:
    for _ in range(times):
        page.get_by_role("button", name=name).click()


@pytest.mark.browser
def test_everything_it_shows_is_the_records(mounted):
    page = mounted(reduced_motion="reduce", viewport={"width": 1200, "height": 1000})
    root, figure = root_of(page), TenTemperaturesFigure()
    shown = figure.recorded
    for t, tau in reversed(list(enumerate(TAUS))):
        come_to_rest(page)
        figure.tau = tau
        numbers = told(root)
        assert (numbers["tau"], numbers["image"]) == (tau, 95)
        assert numbers["neighbours"] == [one.image for one in figure.neighbours]
        assert numbers["similarities"] == pytest.approx([one.similarity for one in figure.neighbours], abs=QUANTUM)
        assert numbers["means"] == pytest.approx(figure.mean_similarities, abs=1e-6)
        assert numbers["meanOwn"] == pytest.approx(figure.mean_own_class, abs=1e-9)
        for name in ("uniformity", "tolerance", "linear_accuracy"):
            expected = getattr(figure, name)._asdict()
            assert numbers[name] == pytest.approx(expected, abs=1e-6), name
        assert numbers["reached"] == figure.reached
        assert_list_of_neighbours(root, figure)
        assert_on_the_map(root, shown.maps[t] / 32767, figure)
        press(page, "lower temperature")
    assert told(root)["tau"] == 0.03  # it stops at the end


def assert_list_of_neighbours(root, figure: TenTemperaturesFigure) -> None:
    texts = root.locator(".nearest li").all_inner_texts()
    kinds = [one.kind for one in figure.neighbours]
    assert [text.split() for text in texts] == [
        [*one.kind.split(), f"{one.similarity:.3f}"] for one in figure.neighbours
    ]
    marks = root.locator(".nearest li").evaluate_all(
        """(items) => items.map((item) => [getComputedStyle(item.querySelector("span"), "::before").content,
                                           getComputedStyle(item.querySelector(".picture")).outlineStyle])"""
    )
    assert marks == [["none", "solid"] if kind == "Bag" else ['"≠ "', "dashed"] for kind in kinds]
    assert f"{figure.own_class} of its 10 nearest" in root.locator(".nearest p").inner_text()


def assert_on_the_map(root, places, figure: TenTemperaturesFigure) -> None:
    side = root.locator(".map").evaluate("(map) => map.clientWidth")
    x, y = EDGE + (places[figure.image] + 1) / 2 * (side - 2 * EDGE)
    chosen = root.locator(".map .chosen")
    assert float(chosen.get_attribute("cx")) == pytest.approx(x, abs=0.1)
    assert float(chosen.get_attribute("cy")) == pytest.approx(y, abs=0.1)
    ends = root.locator(".map circle.end").evaluate_all(
        "(all) => all.map((one) => [+one.getAttribute('cx'), one.classList[1]])"
    )
    for (cx, way), one in zip(ends, figure.neighbours, strict=True):
        assert cx == pytest.approx(EDGE + (places[one.image][0] + 1) / 2 * (side - 2 * EDGE), abs=0.1)
        assert way == ("alike" if one.kind == "Bag" else "other")


@pytest.mark.browser
def test_the_module_reads_the_whole_file(visit, pages):
    shown = figure_data.recorded()
    page, faults = visit(f"{pages}/whole/blank.html")
    found = page.evaluate(
        """async () => {
          const { readData } = await import("/whole/_static/widgets/ten_temperatures_data.mjs");
          const answer = await fetch("/whole/_static/figures/ten-temperatures.bin");
          const data = readData(new Uint8Array(await answer.arrayBuffer()));
          const images = [...Array(data.n).keys()];
          return { maps: data.temperatures.map((_, t) => [...data.map(t)]), same: data.same, different: data.different,
                   neighbours: data.temperatures.map((_, t) => images.map((image) => data.neighboursOf(t, image))),
                   means: data.meanOwn, classes: data.classes, labels: data.labels };
        }"""
    )
    assert found["neighbours"] == shown.neighbours.tolist()
    assert (found["same"], found["different"]) == (shown.same.tolist(), shown.different.tolist())
    assert found["maps"][3] == pytest.approx((shown.maps[3] / 32767).ravel().tolist(), abs=1e-6)
    own = (shown.labels[shown.neighbours] == shown.labels[:, None]).sum(axis=2).mean(axis=1)
    assert found["means"] == pytest.approx(own.tolist())
    assert (found["classes"], found["labels"]) == (list(shown.classes), shown.labels.tolist())
    assert not faults


@pytest.mark.browser
def test_the_plots_stand_where_the_numbers_say(mounted):
    page = mounted(reduced_motion="reduce", viewport={"width": 1200, "height": 1000})
    root, shown = root_of(page), figure_data.recorded()
    press(page, "lower temperature", 5)  # 0.15
    come_to_rest(page)
    plots = root.locator(".plots svg")
    heights = (
        plots.nth(0)
        .locator("path.same")
        .evaluate("(path) => path.getAttribute('d').match(/V([\\d.]+)H/g).map((v) => +v.slice(1, -1))")
    )
    top = 1.05 * max((counts / counts.sum()).max() for row in (shown.same, shown.different) for counts in row)
    share = shown.same[4] / shown.same[4].sum()
    assert heights == pytest.approx((164 - share / top * (164 - 24)).tolist(), abs=0.06)
    fill = plots.nth(0).locator("path.same").get_attribute("fill")
    assert list(bytes.fromhex(fill[1:])) == pytest.approx(list(bytes.fromhex(tau_colour(0.15)[1:])), abs=4)
    dots = (
        plots.nth(1)
        .locator("circle")
        .evaluate_all("(all) => all.map((dot) => [+dot.getAttribute('cx'), +dot.getAttribute('cy')])")
    )
    U, T = (shown.measures[name].mean(axis=0) for name in ("uniformity", "tolerance"))
    left, right = 34, (760 - 2 * 16) // 3 - 6
    assert [x for x, _ in dots] == pytest.approx((left + (U - 0.9) / 2.4 * (right - left)).tolist(), abs=0.5)
    assert [y for _, y in dots] == pytest.approx((164 - (T - 0.3) / 0.6 * 140).tolist(), abs=0.5)
    accuracy = TenTemperaturesFigure(tau=0.15).linear_accuracy.mean
    assert [plots.nth(i).locator(".current").text_content() for i in (1, 2)] == ["0.15", f"{accuracy:.2f}"]


@pytest.mark.browser
def test_the_task_is_reached_by_buttons_and_nowhere_else(mounted):
    page = mounted()
    root, reached = root_of(page), []
    assert "Find the temperature" in root.locator(".task").inner_text()
    for tau in reversed(TAUS):
        assert told(root)["tau"] == tau
        reached += [tau] if told(root)["reached"] else []
        press(page, "lower temperature")
    assert reached == [0.15]
    press(page, "higher temperature", 4)
    after = root.locator(".task").evaluate("(task) => getComputedStyle(task, '::after').content")
    assert after == '" Reached."'


@pytest.mark.browser
def test_keyboard_alone_does_everything(mounted):
    page = mounted(reduced_motion="reduce")
    root, names = root_of(page), []
    page.evaluate("addEventListener('keydown', (event) => (window.seen ??= []).push(event.key))")
    for _ in range(6):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.getAttribute('aria-label')"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", names[-1]
    expected = ["lower temperature", "temperature tau", "higher temperature", "image on the map"]
    assert names == [*expected, "previous image", "next image"]

    slider = page.get_by_role("slider", name="temperature tau")
    slider.focus()
    for key, tau in (("Home", 0.03), ("ArrowRight", 0.05), ("End", 1.0), ("ArrowLeft", 0.7)):
        page.keyboard.press(key)
        assert told(root)["tau"] == tau, key
    assert slider.get_attribute("aria-valuetext") == "0.7"

    places = figure_data.recorded().maps[8]
    page.get_by_role("slider", name="image on the map").focus()
    for key, axis, way in (("ArrowLeft", 0, -1), ("ArrowUp", 1, -1), ("ArrowRight", 0, 1), ("ArrowDown", 1, 1)):
        before = told(root)["image"]
        page.keyboard.press(key)
        after = told(root)["image"]
        assert (places[after][axis] - places[before][axis]) * way > 0, key
    for key, image in (("End", 599), ("Home", 0)):
        page.keyboard.press(key)
        assert told(root)["image"] == image
    kind = figure_data.recorded().classes[figure_data.recorded().labels[0]]
    assert page.get_by_role("slider", name="image on the map").get_attribute("aria-valuetext") == f"image 0, {kind}"
    assert page.evaluate("window.seen.filter((key) => key !== 'Tab')") == []  # the host keeps its own keys only


@pytest.mark.browser
def test_a_click_or_a_tap_chooses_the_image_under_it_also_while_the_map_moves(mounted):
    places = figure_data.recorded().maps / 32767
    for options in ({}, {"has_touch": True}):
        page = mounted(**options)
        root = root_of(page)
        box = root.locator(".map").bounding_box()
        press(page, "lower temperature", 9)
        assert root.locator(".map").get_attribute("data-moving") == "true"
        press(page, "next image")
        assert told(root)["image"] == 96
        come_to_rest(page)
        x, y = (EDGE + (places[0, 7] + 1) / 2 * (box["width"] - 2 * EDGE)).tolist()
        point = box["x"] + x, box["y"] + y
        page.touchscreen.tap(*point) if options else page.mouse.click(*point)
        assert told(root)["image"] == 7
        empty = box["x"] + 3, box["y"] + 3
        page.touchscreen.tap(*empty) if options else page.mouse.click(*empty)
        assert told(root)["image"] == 7
        press(page, "previous image", 9)
        assert told(root)["image"] == 0


@pytest.mark.browser
def test_the_map_glides_unless_the_reader_asked_for_less_motion(mounted):
    for motion, glides in (("no-preference", True), ("reduce", False)):
        page = mounted(reduced_motion=motion)
        chosen = root_of(page).locator(".map .chosen")
        chosen.evaluate(
            """(chosen) => {
              window.places = [];
              new MutationObserver(() => window.places.push(+chosen.getAttribute("cx")))
                .observe(chosen, { attributeFilter: ["cx"] });
            }"""
        )
        press(page, "lower temperature")
        come_to_rest(page)
        places = page.evaluate("window.places")
        side = root_of(page).locator(".map").evaluate("(map) => map.clientWidth")
        end = figure_data.recorded().maps[8, 95, 0] / 32767
        assert places[-1] == pytest.approx(EDGE + (end + 1) / 2 * (side - 2 * EDGE), abs=0.1)
        assert (len(places) > 2) == glides
        assert len(places) >= 1


@pytest.mark.browser
def test_the_canvas_shows_the_map(mounted):
    page = mounted(reduced_motion="reduce", device_scale_factor=2)
    shown = figure_data.recorded()
    trousers = shown.maps[9][shown.labels == 1] / 32767
    painted = page.locator(".map canvas").evaluate(
        """(canvas, places) => {
          const side = canvas.clientWidth, scale = canvas.width / side, context = canvas.getContext("2d");
          const blue = ([x, y]) => {
            const at = [x, y].map((value) => Math.round(scale * (12 + ((value + 1) / 2) * (side - 24))) - 8);
            const pixels = context.getImageData(...at, 16, 16).data;
            for (let i = 0; i < pixels.length; i += 4) {
              if (pixels[i] < 20 && Math.abs(pixels[i + 2] - 178) < 8 && pixels[i + 3] > 200) return true;
            }
            return false;
          };
          return { scale, share: places.filter(blue).length / places.length };
        }""",
        trousers.tolist(),
    )
    assert painted == {"scale": 2, "share": 1}


@pytest.mark.browser
@pytest.mark.parametrize(("width", "wide"), [(320, False), (390, False), (760, True), (1200, True)])
def test_it_fits_the_page(mounted, width, wide):
    page = mounted(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    root = root_of(page)
    assert told(root)["wide"] is wide
    spilled = root.evaluate(
        """(root) => [...root.querySelectorAll("p, li, svg, button, .map, .picture")]
             .filter((part) => !part.matches(".spoken"))
             .filter((part) => part.getBoundingClientRect().right > root.getBoundingClientRect().right + 3)
             .map((part) => part.outerHTML.slice(0, 80))"""
    )
    assert spilled == []
    page.set_viewport_size({"width": 500, "height": 900})
    page.wait_for_function("document.querySelector('.map').clientWidth === 440")


@pytest.mark.browser
def test_a_screen_reader_hears_the_numbers_once_it_rests(mounted):
    page = mounted()
    spoken = page.get_by_role("status")
    assert "temperature tau = 1, image 95, Bag: 0 of its 10 nearest are of its class" in spoken.text_content()
    page.evaluate(
        """() => {
          window.announcements = 0;
          new MutationObserver(() => window.announcements++)
            .observe(document.querySelector("[role=status]"), { childList: true });
        }"""
    )
    lower = page.get_by_role("button", name="lower temperature")
    lower.evaluate(
        "(button) => { for (let i = 0; i < 3; i++) button.click(); }"
    )  # without a rest, however busy the machine
    page.wait_for_function("window.announcements > 0")
    assert page.evaluate("window.announcements") == 1
    assert "temperature tau = 0.3," in spoken.text_content()
    labels = page.locator(".plots svg").evaluate_all("(all) => all.map((svg) => svg.getAttribute('aria-label'))")
    assert all(label.startswith("temperature τ = 0.3: ") for label in labels)
    mean, low, high = TenTemperaturesFigure(tau=0.3).linear_accuracy
    assert f"linear accuracy {mean:.2f} ({low:.2f} to {high:.2f})" in labels[2]


@pytest.mark.browser
def test_the_still_picture_says_what_the_live_one_says(visit, pages, mounted):
    spoken = mounted().locator(".numbers span").all_inner_texts()
    still, _ = visit(f"{pages}/whole/figure.html", java_script_enabled=False)
    assert still.locator(".contrastlab-figure p").first.inner_text() == " | ".join(spoken)
    assert still.locator(".contrastlab-figure svg").is_visible()


@pytest.mark.browser
def test_the_page_loads_little_and_from_its_own_host_alone(visit, pages):
    page, faults = visit(f"{pages}/whole/blank.html")
    sizes = []
    page.on(
        "response",
        lambda response: sizes.append((response.url, len(response.body()))) if "blob:" not in response.url else None,
    )
    page.goto(f"{pages}/whole/figure.html")
    page.wait_for_selector('.contrastlab-figure[data-mounted="1"]')
    assert sum(size for _, size in sizes) < 1_000_000
    assert any(url.endswith("/_static/figures/ten-temperatures.bin") for url, _ in sizes)
    assert not faults


@pytest.mark.browser
def test_without_its_data_the_still_picture_stays_and_a_note_says_why(visit, pages):
    page, _ = visit(f"{pages}/without-data/figure.html")
    note = page.wait_for_selector(".contrastlab-note")
    assert "its data did not load (status 404" in note.inner_text()
    assert page.locator(".contrastlab-figure > svg").is_visible()


@pytest.mark.browser
def test_in_jupyter_one_module_and_the_models_bytes_are_enough_and_cleanup_leaves_nothing(visit, pages):
    page, faults = visit(f"{pages}/whole/blank.html")
    found = page.evaluate(
        """async () => {
          const { default: widget } = await import("/whole/_static/figure.mjs");
          const bytes = await (await fetch("/whole/_static/figures/ten-temperatures.bin")).arrayBuffer();
          const padded = new Uint8Array(bytes.byteLength + 3); // Jupyter's view does not start where its buffer does
          padded.set(new Uint8Array(bytes), 3);
          const state = { tau: 0.2, image: 3, data: new DataView(padded.buffer, 3), colours: [[0.01, "#0000ff"]] };
          const handlers = new Map(), revoked = [];
          const revoke = URL.revokeObjectURL;
          URL.revokeObjectURL = (address) => { revoked.push(address); revoke.call(URL, address); };
          const model = {
            get: (name) => state[name],
            set(name, value) { state[name] = value; handlers.get(`change:${name}`)?.(); },
            on: (event, handler) => handlers.set(event, handler), off: (event) => handlers.delete(event),
            save_changes() { throw new Error("no kernel"); },
          };
          const cleanup = await widget.render({ model, el: document.body });
          const root = document.querySelector(".contrastlab-ten-temperatures");
          model.set("tau", 0.05); // as Python does
          const moved = root.dataset.tau;
          document.querySelector('[aria-label="next image"]').click();
          const kept = [state.tau, state.image];
          cleanup();
          const left = document.querySelectorAll("div").length;
          return { moved, kept, left, revoked: revoked.length, handlers: handlers.size };
        }"""
    )
    assert found == {"moved": "0.05", "kept": [0.05, 4], "revoked": 1, "handlers": 0, "left": 0}
    assert not faults


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(mounted, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = mounted(color_scheme=scheme, reduced_motion="reduce")
    if scheme == "dark":
        page.add_style_tag(content=f"html {{ color-scheme: dark; background: {GROUNDS['dark']}; color: #dfe3ea }}")
    violations = axe.run(page, context=".contrastlab-ten-temperatures").response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in violations] == []
