"""Every interactive figure, and the training panel, in a real JupyterLab: one server, one kernel, one page for all.

What a reader moves is true in Python, what Python sets is seen by the reader, and both agree with the library.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from conftest import collect_faults
from figure_catalogue import CATALOGUE, FIGURES, Control, css_class, differences, shown_numbers, tau_in_text
from figure_pages import drag_round
from figure_work import held

TESTS = Path(__file__).parent
SECONDS = 120  # for a server or a kernel to start on a busy machine
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # or outputs out of sight are not in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
}
# Runs code in the notebook's kernel and returns what it prints.
RUN = """async (code) => {
  const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  const said = [];
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream" && content.name === "stdout") said.push(content.text);
    if (header.msg_type === "error") said.push(`${content.ename}: ${content.evalue}`);
  };
  await future.done;
  return said.join("");
}"""


def write_notebook(path: Path) -> None:
    start = f"import json, sys\nsys.path.insert(0, {str(TESTS)!r})\nfrom figure_catalogue import library_numbers, make"
    cells = [f"{start}\nfrom contrastlab.widgets import TrainingPanel\nfigures = {{}}"]
    cells += [f"figures[{name!r}] = make({name!r})\nfigures[{name!r}]" for name in FIGURES]
    cells += ["panel = TrainingPanel(images=256, epochs=2)\npanel", ""]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(metadata=kernel, cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[str]:
    """The address of the notebook in a JupyterLab of its own, which reads and writes nothing of the user's."""
    home = tmp_path_factory.mktemp("lab")
    for name in ("work", "runtime"):
        (home / name).mkdir()
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    write_notebook(home / "work" / "figures.ipynb")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    options = {
        "ServerApp.root_dir": home / "work",
        "LabApp.expose_app_in_browser": True,
        "LabApp.extension_manager": "readonly",  # the other one asks a registry
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.news_url": None,
    }
    token = secrets.token_hex(16)
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": str(home / "matplotlib"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "JUPYTER_TOKEN": token,
        "OMP_NUM_THREADS": "1",
    }
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            cwd=home,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield f"{_address(server, home)}lab/tree/figures.ipynb?token={token}"
        finally:
            _end(server)


def _address(server: subprocess.Popen, home: Path) -> str:
    """Where the server listens, from the file that it writes then."""
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and server.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                return json.loads(file.read_text())["url"]
            except json.JSONDecodeError:  # half written
                pass
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{(home / 'log').read_text()[-2000:]}")


def _end(server: subprocess.Popen) -> None:
    """The server ends its kernels; whatever does not end in time is killed with all that it started."""
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture(scope="module")
def page(browser, lab) -> Iterator:
    """The notebook with all its cells run; page.faults lists errors and requests to other hosts."""
    context = browser.new_context(viewport={"width": 1200, "height": 1000}, has_touch=True)
    page = context.new_page()
    page.faults = []
    collect_faults(page, page.faults, host=lab.split("/")[2])
    page.set_default_timeout(1000 * SECONDS)
    page.goto(lab)
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel")
    page.evaluate(
        """async () => {
          await jupyterapp.shell.currentWidget.sessionContext.ready;
          await jupyterapp.commands.execute("notebook:run-all-cells");
        }"""
    )
    page.get_by_role("button", name="Train", exact=True).wait_for()  # in the last cell
    page.set_default_timeout(20_000)
    yield page
    context.close()


@pytest.fixture
def python(page) -> Iterator[Callable[[str], str]]:
    """python(code) -> what the code prints in the notebook's kernel. Fails a test in which a fault came up."""
    before = len(page.faults)
    yield lambda code: page.evaluate(RUN, code).strip()
    assert not page.faults[before:]


def eventually(check: Callable[[], object], what: str) -> object:
    """What check returns once that is true."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.05)
    raise AssertionError(f"still not so after 20 s: {what}")


class Figure:
    """One figure in the page and in Python."""

    def __init__(self, name: str, page, python: Callable[[str], str]) -> None:
        self.name, self.python = name, python
        self.root = page.locator(f".{css_class(name)}")
        self.slider = self.root.get_by_role("slider", name="temperature tau")

    def is_mounted(self) -> bool:
        numbers = self.root.locator(".numbers")
        return numbers.count() == 1 and bool(numbers.inner_text())

    def get(self, trait: str) -> object:
        return json.loads(self.python(f"print(json.dumps(figures[{self.name!r}].{trait}))"))

    def set(self, **traits: object) -> None:
        self.python("".join(f"figures[{self.name!r}].{trait} = {value!r}\n" for trait, value in traits.items()))

    def look(self) -> tuple[dict[str, object], str, list[bytes]]:
        """Its numbers, its text and the pixels of its drawings."""
        drawings = [part.screenshot() for part in self.root.locator("svg, canvas").all()]
        return shown_numbers(self.root, self.name), self.root.locator(".numbers").inner_text(), drawings

    def control(self, name: str):
        """Its button, choice or what else arrow keys move, by the name that a screen reader hears."""
        button, choice, mark = (
            self.root.get_by_role(role, name=name, exact=True) for role in ("button", "combobox", "slider")
        )
        return button.or_(choice).or_(mark)

    def read(self, control: Control) -> object:
        return self.get(control.trait) if control.trait else self.look()[2]

    def has_settled(self) -> bool:
        """Page and library agree, or the page flows, as Python says."""
        if self.name == "WorldFigure" and self.get("playing"):
            return self.root.get_attribute("data-running") == "true"
        return not self.disagreement()

    def agrees(self) -> None:
        eventually(lambda: not self.disagreement(), f"{self.name}: page and library agree")

    def disagreement(self) -> list[str]:
        """The numbers that page and library do not agree on."""
        library = json.loads(self.python(f"print(json.dumps(library_numbers(figures[{self.name!r}])))"))
        shown = shown_numbers(self.root, self.name)
        without_tau = self.slider.is_disabled()  # a simple loss has none
        said = without_tau or tau_in_text(self.root) == pytest.approx(library["tau"], rel=1e-3)
        return [*([] if said else ["tau in the text"]), *differences(shown, library, self.name)]

    def assert_moves(self, action: Callable[[], object], trait: str = "tau") -> None:
        """The action changes the trait in Python, the numbers and the picture, and all of them agree afterwards."""
        before, value = self.look(), self.get(trait)
        action()
        eventually(lambda: self.get(trait) != value, f"{trait} moved from {value} in Python")
        self.agrees()
        after = self.look()
        assert after[0] != before[0], f"{trait}: other numbers"
        assert after[1] != before[1] or trait != "tau", "another text"
        assert after[2] != before[2], f"{trait}: another picture"


def figure_in(page, python, name: str) -> Figure:
    """The figure, mounted and in sight, or the world of points stands still."""
    figure = Figure(name, page, python)
    eventually(figure.is_mounted, f"{name} is mounted; faults: {page.faults}")
    figure.root.scroll_into_view_if_needed()
    return figure


@pytest.fixture(params=FIGURES)
def figure(request, page, python) -> Figure:
    return figure_in(page, python, request.param)


@pytest.mark.browser
def test_notebook_opens_and_runs_without_a_fault(page):
    assert not page.faults


@pytest.mark.browser
def test_figure_lives_in_jupyterlab_both_ways(figure):
    assert not figure.disagreement()
    keyboard, mouse, slider = figure.root.page.keyboard, figure.root.page.mouse, figure.slider
    lower = figure.root.get_by_role("button", name="lower temperature")
    higher = figure.root.get_by_role("button", name="higher temperature")
    box = slider.bounding_box()

    def drag() -> None:
        middle = box["y"] + box["height"] / 2
        mouse.move(box["x"] + box["width"] / 2, middle)
        mouse.down()
        mouse.move(box["x"] + box["width"] * 0.6, middle, steps=3)
        mouse.up()

    def press(control, key: str) -> Callable[[], None]:
        return lambda: (control.focus(), keyboard.press(key))

    figure.assert_moves(press(slider, "Home"))
    figure.assert_moves(drag)
    figure.assert_moves(lower.click)
    figure.assert_moves(press(higher, "Enter"))
    figure.assert_moves(press(slider, "ArrowLeft"))
    figure.assert_moves(higher.tap)
    figure.assert_moves(lambda: slider.tap(position={"x": box["width"] * 0.9, "y": box["height"] / 2}))
    figure.assert_moves(lambda: figure.set(tau=0.3))
    assert figure.get("tau") == 0.3


@pytest.mark.browser
def test_what_python_sets_is_seen(figure):
    for traits in CATALOGUE[figure.name].python:
        start = {trait: figure.get(trait) for trait in traits}
        figure.assert_moves(lambda traits=traits: figure.set(**traits), next(iter(traits)))
        assert {trait: figure.get(trait) for trait in traits} == traits
        figure.set(**start)
        figure.agrees()


OTHER_CONTROLS = 'button:not([aria-label$="temperature"]), select, [role="slider"][tabindex="0"]'


def ways_to_use(control) -> list[Callable[[], object]]:
    """By mouse, touch and keyboard, as far as the control knows them."""
    if control.evaluate("(control) => control.matches('select')"):
        return [lambda: control.select_option(index=1), lambda: control.press("ArrowDown")]
    if control.get_attribute("role") == "slider":
        return [lambda: control.press("ArrowRight")]
    return [control.click, control.tap, lambda: control.press("Enter")]


@pytest.mark.browser
def test_every_other_control_does_in_python_what_it_says(figure):
    for name, control in CATALOGUE[figure.name].controls.items():
        figure.set(**control.given)
        element = figure.control(name)
        element.evaluate("(control) => { control.dataset.driven = true; }")
        for use in ways_to_use(element):
            figure.set(**control.given)
            eventually(figure.has_settled, f"{figure.name} is as Python says before {name!r}")
            before = figure.read(control)
            use()
            eventually(
                lambda control=control, before=before: control.has_worked(before, figure.read(control)),
                f"{name!r} changes {control.trait or 'the picture'} from {before}",
            )
            if control.trait == "playing":
                figure.set(playing=False)
            figure.agrees()
    left = figure.root.locator(OTHER_CONTROLS).and_(figure.root.locator(":not([data-driven])"))
    unknown = left.evaluate_all("(all) => all.map((one) => one.outerHTML)")
    assert not unknown, f"say in figure_catalogue.py what they do: {unknown}"


@pytest.mark.browser
def test_dragged_point_is_read_in_python(page, python):
    figure = figure_in(page, python, "AnatomyFigure")
    figure.set(anchor=0.0, positive=35.0, negatives=[60.0, 115.0, -90.0])
    figure.agrees()
    drag_round(figure.root, "negative 2", 45)
    eventually(lambda: figure.get("negatives") == pytest.approx([60, 45, -90], abs=1.5), "negative 2 is at 45 degrees")
    figure.agrees()
    drag_round(figure.root, "anchor", -30)
    eventually(lambda: figure.get("anchor") == pytest.approx(-30, abs=1.5), "the anchor is at -30 degrees")
    figure.agrees()


@pytest.mark.browser
def test_step_right_after_another_world_is_not_undone_by_pythons_answer(page, python):
    figure = figure_in(page, python, "WorldFigure")
    for change in ("[aria-label='next seed']", "[aria-label='lower temperature']"):
        figure.set(playing=False, loss="contrastive", tau=0.3, steps=20)
        figure.agrees()
        figure.root.evaluate(
            """(root, change) => {
              for (const control of [change, ".step"]) root.querySelector(control).click();
            }""",
            change,
        )
        page.wait_for_timeout(500)  # in which Python answers, and its answer comes
        assert (figure.root.get_attribute("data-steps"), figure.get("steps")) == ("1", 1)
        figure.agrees()


# Puts code into the last cell and runs it as a reader does. Returns how many elements of a class came into the page.
RUN_LAST_CELL = """async ([code, name]) => {
  const notebook = jupyterapp.shell.currentWidget.content;
  let came = 0;
  const watch = new MutationObserver((records) => {
    for (const { addedNodes } of records) {
      for (const added of addedNodes) came += added.matches?.(name) || added.querySelectorAll?.(name).length || 0;
    }
  });
  watch.observe(document.body, { childList: true, subtree: true });
  notebook.activeCellIndex = notebook.widgets.length - 1;
  notebook.activeCell.model.sharedModel.setSource(code);
  await jupyterapp.commands.execute("notebook:run-cell");
  await new Promise((resolve) => { setTimeout(resolve, 700); });
  watch.disconnect();
  return came;
}"""
SHOW_OFTEN = """
from time import sleep
from IPython.display import clear_output, display
for _ in range({times}):
    display(figures[{name!r}])
    sleep(0.05)
    clear_output()
"""
# So that the page finds the models of the widgets: what JupyterLab itself holds of a figure.
FIND_MANAGER = """
from anywidget import AnyWidget
from IPython.display import display
class Finder(AnyWidget):
    _esm = "export default { render({ model }) { window.manager = model.widget_manager; } }"
display(Finder())
"""
# Handlers on a figure's model, but for the one that ipywidgets' own DOMWidgetView puts there and never takes off;
# views of it; and how often it is in the page.
HELD_BY_MODEL = """async ([id, name]) => {
  const { _events: events, views } = await manager.get_model(id);
  const handlers = Object.entries(events).map(([event, all]) => (event === "msg:custom" ? 0 : all.length));
  return [handlers.reduce((a, b) => a + b), Object.keys(views).length, document.querySelectorAll(name).length];
}"""
OUTPUTS = 50  # of each of the four figures: 200 in all


@pytest.mark.browser
def test_nothing_is_left_of_outputs_that_were_cleared(figure):
    page, name = figure.root.page, f".{css_class(figure.name)}"
    page.evaluate(RUN_LAST_CELL, [FIND_MANAGER, name])
    page.wait_for_function("window.manager")
    model = figure.python(f"print(figures[{figure.name!r}].model_id)")
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")

    def show(times: int) -> tuple[int, list[int], dict[str, float]]:
        came = page.evaluate(RUN_LAST_CELL, [SHOW_OFTEN.format(times=times, name=figure.name), name])
        return came, page.evaluate(HELD_BY_MODEL, [model, name]), held(session)

    _, before, held_before = show(5)
    came, after, held_after = show(OUTPUTS)
    assert came > OUTPUTS / 2, "JupyterLab did not draw what was cleared"
    assert after == before
    more = {what: held_after[what] - held_before[what] for what in ("Nodes", "JSEventListeners")}
    assert more["Nodes"] < 4 * OUTPUTS, more  # two a view are ipywidgets' own
    assert more["JSEventListeners"] < OUTPUTS / 4, more


@pytest.fixture
def panel(page):
    return page.locator(".jp-OutputArea-output", has=page.get_by_role("button", name="Train", exact=True))


def says(panel, text: str) -> None:
    panel.get_by_role("status").filter(has_text=text).wait_for()


def type_in(panel, name: str, value: object) -> None:
    field = panel.get_by_role("spinbutton", name=name)
    field.fill(str(value))
    field.press("Tab")


@pytest.mark.browser
def test_panel_trains_and_shows_the_numbers_of_the_run(panel, python):
    type_in(panel, "tau", 0.5)
    panel.get_by_role("button", name="Train").click()
    says(panel, "Finished")
    run = json.loads(python("print(json.dumps(panel.runs[-1]))"))
    end = run["history"][-1]
    assert (run["tau"], run["epochs"], end["epoch"]) == (0.5, 2, 2)
    numbers = f"loss {end['loss']:.2f}, uniformity {end['uniformity']:.2f}, tolerance {end['tolerance']:.2f}"
    assert numbers in panel.get_by_role("status").inner_text()
    row = panel.get_by_role("row").last.inner_text().split()
    assert row[-3:] == [f"{end[name]:.2f}" for name in ("loss", "uniformity", "tolerance")]
    spoken = panel.locator("svg").nth(1).get_attribute("aria-label")
    assert f"contrastive, τ = 0.5, seed 0: {end['uniformity']:.2f}" in spoken


@pytest.mark.browser
def test_kernel_answers_while_the_panel_trains_and_stop_stops_it(panel, python):
    type_in(panel, "epochs", 2000)
    panel.get_by_role("button", name="Train").click()
    says(panel, "After epoch 1 ")
    assert python("print(panel.busy, 6 * 7)") == "True 42"
    panel.get_by_role("button", name="Stop").click()
    says(panel, "Stopped")
    assert python("print(panel.busy, panel.runs[-1]['end'], len(panel.runs))") == "False stopped 2"
    assert panel.get_by_role("row").count() == 1 + 2


@pytest.mark.browser
def test_panel_says_in_words_what_is_wrong_and_keeps_its_runs(panel, python):
    kept = python("print(len(panel.runs))")
    type_in(panel, "epochs", 1)
    type_in(panel, "tau", -1)
    panel.get_by_role("button", name="Train").click()
    says(panel, "temperature must be a finite number > 0, got tau = -1")
    panel.get_by_role("combobox", name="loss").select_option("hard simple")
    panel.get_by_role("spinbutton", name="tau").wait_for(state="hidden")
    type_in(panel, "alpha", 0)
    panel.get_by_role("button", name="Train").click()
    says(panel, "alpha is the share of negatives to keep and must be in (0, 1], got 0")
    assert python("print(len(panel.runs))") == kept
