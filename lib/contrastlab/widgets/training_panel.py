"""The panel of chapter 6: train at a temperature of your own and watch uniformity and tolerance move."""

import html
import threading
from dataclasses import asdict
from typing import Any

import ipywidgets as ipw

from .. import data
from . import training_picture as picture
from .training_run import LOSSES, Choice, Run, watch

_NUMBERS = {"tau": ipw.FloatText, "alpha": ipw.FloatText, "seed": ipw.IntText}
_AMOUNTS = {"images": ipw.IntText, "epochs": ipw.IntText}
_LABELS = {"tau": "tau τ", "alpha": "alpha α"}
_STEPS = {"tau": 0.05, "alpha": 0.05, "images": 500}
_COMPARE = "One run each. Compare at the same seed, and try a second seed before you believe a difference."


class TrainingPanel(ipw.VBox):
    """Train a small encoder at a chosen temperature, and see loss, uniformity and tolerance after each epoch.

    Options set what the panel starts with: data, loss, tau, alpha, seed, images, epochs. The training runs in a thread
    of its own, so that other cells can be run meanwhile, and ends soon after Stop. `runs` lists the runs so far, each a
    dict with what was chosen, its `end` ("finished" or "stopped") and its `history`, one dict an epoch. What goes wrong
    is said in the panel and changes no earlier run.
    Source of the two measures: Wang & Liu, CVPR 2021.
    """

    def __init__(self, **choice: Any) -> None:
        chosen = asdict(Choice(**choice))
        self.runs: list[Run] = []
        self.controls = _controls(chosen)
        self._stopped, self._thread = threading.Event(), None
        self._train = ipw.Button(description="Train", button_style="primary")
        self._stop = ipw.Button(description="Stop", disabled=True)
        self._progress = ipw.IntProgress(layout=ipw.Layout(flex="1 1 100px", min_width="60px"))
        self._words, self._picture = ipw.HTML(), ipw.HTML()
        rows = [
            ipw.HBox([self.controls[name] for name in names], layout=ipw.Layout(flex_flow="row wrap"))
            for names in (("data", "loss"), tuple(_NUMBERS), tuple(_AMOUNTS))
        ]
        buttons = ipw.HBox([self._train, self._stop, self._progress], layout=ipw.Layout(align_items="center"))
        super().__init__([*rows, buttons, self._words, self._picture], layout=ipw.Layout(max_width="760px"))
        self._train.on_click(lambda _: self.start())
        self._stop.on_click(lambda _: self.stop())
        self.controls["loss"].observe(lambda _: self._show_settings_of_the_loss(), "value")
        self._show_settings_of_the_loss()
        self._say("Choose a temperature and press Train.")

    @property
    def choice(self) -> Choice:
        """What the panel's controls say now."""
        return Choice(**{name: control.value for name, control in self.controls.items()})

    @property
    def busy(self) -> bool:
        """Whether a training goes on."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """What the button Train does: train as chosen, in a thread. One training at a time."""
        if self.busy:
            return
        self._stopped.clear()
        self._switch(training=True)
        self._thread = threading.Thread(target=self._run, args=(self.choice,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """What the button Stop does: the training ends after the step that it is at, and its epochs so far are kept."""
        self._stopped.set()

    def wait(self) -> None:
        """Return once no training goes on."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, choice: Choice) -> None:
        try:
            self._say(f"Loading {html.escape(choice.data)}.")
            self._progress.value, self._progress.max = 0, max(1, choice.steps)
            run = watch(choice, self._show, self._after_step)
            self.runs.append(run)
            self._say(f"{run['end'].capitalize()}. {_numbers(run)}")
        except Exception as error:  # whatever it is, the reader must see it: a thread's own errors go nowhere
            kind = "" if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: "
            self._say(f"<strong>This run did not finish.</strong> {kind}{html.escape(str(error))}")
        finally:
            self._draw(self.runs)
            self._switch(training=False)

    def _after_step(self) -> bool:
        self._progress.value += 1
        return self._stopped.is_set()

    def _show(self, run: Run) -> None:
        self._say(f"Training. {_numbers(run)}")
        self._draw([*self.runs, run | {"end": "training"}])

    def _draw(self, runs: list[Run]) -> None:
        self._picture.value = picture.plots(runs) + picture.table(runs) + f"<p>{_COMPARE}</p>" if runs else ""

    def _say(self, words: str) -> None:
        self._words.value = f'<p role="status" style="line-height:1.4;margin:.3em 0">{words}</p>'

    def _switch(self, training: bool) -> None:
        self._train.disabled, self._stop.disabled = training, not training

    def _show_settings_of_the_loss(self) -> None:
        for name in ("tau", "alpha"):
            self.controls[name].layout.display = None if name in LOSSES[self.controls["loss"].value] else "none"

    def __repr__(self) -> str:
        return f"TrainingPanel(runs={len(self.runs)})"

    def twin(self) -> str:
        """HTML for a page without a kernel, where nothing can train: the runs so far, or else the book's recorded ones.

        The same runs give the same bytes.
        """
        if self.runs:
            shown = f"<p>Runs of this panel. {_COMPARE}</p>{picture.plots(self.runs)}{picture.table(self.runs)}"
        else:
            shown = _recorded()
        return (
            f'<div class="contrastlab-panel">{shown}<p>A recorded result, which nothing here can change: in Jupyter '
            "this is a panel in which you choose data, loss, temperature and seed, and train.</p></div>"
        )

    def _repr_mimebundle_(self, **options: object) -> dict[str, Any]:
        return {**super()._repr_mimebundle_(**options), "text/html": self.twin()}


def _controls(chosen: dict[str, Any]) -> dict[str, ipw.Widget]:
    losses = [(loss.replace("_", " "), loss) for loss in LOSSES]
    controls = {
        "data": ipw.Dropdown(options=data.NAMES, value=chosen["data"], description="data"),
        "loss": ipw.Dropdown(options=losses, value=chosen["loss"], description="loss"),
    }
    for name, kind in (_NUMBERS | _AMOUNTS).items():
        controls[name] = kind(
            value=chosen[name],
            description=_LABELS.get(name, name),
            step=_STEPS.get(name, 1),
            layout=ipw.Layout(width="190px"),
        )
    return controls


def _numbers(run: Run) -> str:
    now = run["history"][-1]
    loss = "" if now["loss"] is None else f"loss {now['loss']:.2f}, "
    return (
        f"After epoch {now['epoch']} of {run['epochs']}: {loss}"
        f"uniformity {now['uniformity']:.2f}, tolerance {now['tolerance']:.2f}."
    )


def _recorded() -> str:
    try:
        runs = picture.recorded_runs()
    except FileNotFoundError:
        return "<p>No kernel is running here, and the book's recorded runs are not beside this notebook.</p>"
    amount = f"{runs[0]['images']:,} images of {runs[0]['data']}, {runs[0]['epochs']} epochs"
    return (
        f"<p>What this panel did at three temperatures with two seeds: {amount}, the loss of training, and uniformity "
        f"and tolerance of test images.</p>{picture.plots(runs)}{picture.table(runs, 'Recorded runs')}"
    )
