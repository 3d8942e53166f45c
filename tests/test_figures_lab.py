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
from figure_catalogue import FIGURES, css_class, differences, shown_numbers, tau_in_text

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
    cells += ["panel = TrainingPanel(images=256, epochs=2)\npanel"]
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

    @property
    def tau(self) -> float:
        return float(self.python(f"print(figures[{self.name!r}].tau)"))

    def look(self) -> tuple[str, bytes]:
        """Its text and its pixels."""
        return self.root.locator(".numbers").inner_text(), self.root.screenshot()

    def disagreement(self) -> list[str]:
        """The numbers that page and library do not agree on."""
        library = json.loads(self.python(f"print(json.dumps(library_numbers(figures[{self.name!r}])))"))
        shown = shown_numbers(self.root, self.name)
        text = [] if tau_in_text(self.root) == pytest.approx(library["tau"], rel=1e-3) else ["tau in the text"]
        return text + differences(shown, library, self.name)

    def assert_moves(self, action: Callable[[], object]) -> None:
        """The action changes text, picture and the trait in Python, and all of them agree afterwards."""
        (text, picture), tau = self.look(), self.tau
        action()
        eventually(lambda: self.tau != tau, f"tau moved from {tau} in Python")
        eventually(lambda: not self.disagreement(), "page and library agree")
        after = self.look()
        assert after[0] != text
        assert after[1] != picture


@pytest.fixture(params=FIGURES)
def figure(request, page, python) -> Figure:
    figure = Figure(request.param, page, python)
    eventually(figure.is_mounted, f"{request.param} is mounted; faults: {page.faults}")
    return figure


@pytest.mark.browser
def test_notebook_opens_and_runs_without_a_fault(page):
    assert not page.faults


@pytest.mark.browser
def test_figure_lives_in_jupyterlab_both_ways(figure):
    assert not figure.disagreement()
    figure.root.scroll_into_view_if_needed()
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
    figure.assert_moves(lambda: figure.python(f"figures[{figure.name!r}].tau = 0.3"))
    assert figure.tau == 0.3


@pytest.mark.browser
def test_other_controls_keep_page_and_python_together(figure):
    """By mouse, keyboard and touch in turn; that each does what it says is tested beside each figure."""
    page, before = figure.root.page, figure.look()
    controls = 0
    for control in figure.root.get_by_role("button").all():
        name = control.get_attribute("aria-label") or control.inner_text()
        if "temperature" in name or name in ("Play", "Pause") or control.is_disabled():
            continue
        controls += 1
        for act in (control.click, control.tap, lambda control=control: control.press("Enter")):
            act()
            eventually(lambda: not figure.disagreement(), f"page and library agree after {name!r}")
    for control in figure.root.locator('[role="slider"][tabindex="0"]').all():
        controls += 1
        control.focus()
        picture = figure.root.screenshot()
        page.keyboard.press("ArrowRight")
        eventually(lambda picture=picture: figure.root.screenshot() != picture, "an arrow key moves the picture")
        eventually(lambda: not figure.disagreement(), "page and library agree after an arrow key")
    assert not controls or figure.look() != before


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
