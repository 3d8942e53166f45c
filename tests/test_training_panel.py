"""The training panel in Python: it trains with the book's loop, tells errors in words, keeps runs, and has a twin."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
import torch

from contrastlab import data, evaluate, geometry
from contrastlab.train import Config, train
from contrastlab.widgets import TrainingPanel, training_run
from contrastlab.widgets.training_picture import recorded_runs

SMALL = {"images": 256, "epochs": 2}


@pytest.fixture(autouse=True)
def one_thread():
    """The same sums in the panel's thread and in this one, and no waiting on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(panel: TrainingPanel, **choice: object) -> str:
    """Set the panel's controls, press Train, wait; what the panel says then."""
    for name, value in choice.items():
        panel.controls[name].value = value
    panel._train.click()
    panel.wait()
    return panel._words.value


def test_run_is_the_librarys_training_of_the_same_config():
    panel = TrainingPanel(tau=0.1, seed=3, **SMALL)
    words = trained(panel)
    (run,) = panel.runs
    config = Config(tau=0.1, seed=3, epochs=2, width=8, batch_size=128, lr=0.06)
    by_hand = train(config, data.load("fashion-mini").subset(256), progress=False)
    test = data.load("fashion-mini", "test").subset(1000)
    z = evaluate.embed(by_hand, test)[1]
    assert [now["epoch"] for now in run["history"]] == [0, 1, 2]
    assert [now["loss"] for now in run["history"]] == [None, *by_hand.history]
    assert run["history"][-1]["uniformity"] == pytest.approx(geometry.uniformity(z), abs=1e-6)
    assert run["history"][-1]["tolerance"] == pytest.approx(geometry.tolerance(z, test.labels), abs=1e-6)
    assert {name: run[name] for name in ("loss", "tau", "alpha", "seed", "data", "images", "epochs", "end")} == {
        "loss": "contrastive",
        "tau": 0.1,
        "alpha": None,
        "seed": 3,
        "data": "fashion-mini",
        "images": 256,
        "epochs": 2,
        "end": "finished",
    }
    assert json.loads(json.dumps(panel.runs)) == panel.runs  # plain records
    assert words.count(f"After epoch 2 of 2: loss {by_hand.history[-1]:.2f}, uniformity {geometry.uniformity(z):.2f}")


def test_every_loss_trains_with_the_settings_that_it_has():
    panel = TrainingPanel(images=128, epochs=1)
    shown = {}
    for loss, settings in training_run.LOSSES.items():
        assert "Finished" in trained(panel, loss=loss, tau=0.5, alpha=0.1)
        expected = (0.5 if "tau" in settings else None, 0.1 if "alpha" in settings else None)
        assert (panel.runs[-1]["tau"], panel.runs[-1]["alpha"]) == expected
        shown[loss] = tuple(name for name in ("tau", "alpha") if panel.controls[name].layout.display != "none")
    assert shown == training_run.LOSSES
    assert len({run["history"][-1]["loss"] for run in panel.runs}) == 4
    assert panel._picture.value.count("<tr>") == 1 + 4


def test_errors_are_said_and_earlier_runs_are_kept(monkeypatch):
    panel = TrainingPanel(images=128, epochs=1)
    trained(panel)
    (before,) = panel.runs
    wrong = [
        ({"tau": -1}, "temperature must be a finite number &gt; 0, got tau = -1"),
        ({"tau": 0.2, "loss": "hard_simple", "alpha": 0}, r"must be in (0, 1], got 0"),
        ({"loss": "simple", "images": 20_000}, "n must be from 1 to 10000, got 20000"),
        ({"images": 100}, "a batch has 128 images, got images = 100"),
        ({"images": 128, "epochs": 0}, "epochs &gt;= 1"),
    ]
    for choice, message in wrong:
        words = trained(panel, **choice)
        assert "did not finish" in words and message in words
        assert "Error" not in words  # a sentence for a learner, not a class of Python's
        assert panel.runs == [before]
        assert (panel._train.disabled, panel._stop.disabled) == (False, True)

    def unreachable(*_: object) -> None:
        raise ConnectionError("cifar10 is missing, and its download failed")

    monkeypatch.setattr(training_run, "_load", unreachable)
    assert "its download failed" in trained(panel, data="cifar10", epochs=1)
    monkeypatch.undo()
    assert "Finished" in trained(panel, data="fashion-mini")  # and the panel still works
    assert len(panel.runs) == 2


def test_stop_ends_the_training_and_keeps_its_epochs():
    panel = TrainingPanel(images=256, epochs=1000)
    panel._progress.observe(lambda change: change["new"] == 5 and panel._stop.click(), "value")
    panel.start()
    first = panel._thread
    assert panel._train.disabled and not panel._stop.disabled
    panel.start()  # a second training does not start beside it
    assert panel._thread is first
    panel.wait()
    (run,) = panel.runs
    assert run["end"] == "stopped"
    assert [now["epoch"] for now in run["history"]] == [0, 1, 2]  # five steps, two an epoch
    assert "2 of 1000, stopped" in panel._picture.value
    assert not panel.busy


def test_picture_moves_with_each_epoch():
    panel, pictures = TrainingPanel(**SMALL), []
    panel._picture.observe(lambda change: pictures.append(change["new"]), "value")
    trained(panel)
    assert len(pictures) == 4  # before, after each of two epochs, and finished
    assert len(set(pictures)) == 4
    uniformity = panel.runs[0]["history"][-1]["uniformity"]
    assert f"contrastive, τ = 0.2, seed 0: {uniformity:.2f}" in pictures[-1]


def test_twin_shows_the_recorded_runs_and_their_numbers():
    twin = TrainingPanel()._repr_mimebundle_()["text/html"]
    assert twin == TrainingPanel(tau=0.7)._repr_mimebundle_()["text/html"]
    for run in recorded_runs():
        end = run["history"][-1]
        assert f"contrastive, τ = {run['tau']:g}, seed {run['seed']}: {end['uniformity']:.2f}" in twin
        assert all(f"{end[name]:.2f}</td>" in twin for name in ("loss", "uniformity", "tolerance"))
    assert twin.count("<svg") == 3 and twin.count('role="img" aria-label="') == 3
    assert "contrastlab-figure" not in twin  # nothing for mount.js to bring to life
    assert "nan" not in twin


def test_recorded_runs_are_the_panels_own():
    runs = recorded_runs()
    assert [(run["tau"], run["seed"]) for run in runs] == [(tau, seed) for seed in (0, 1) for tau in (0.05, 0.2, 1.0)]
    choice = asdict(training_run.Choice())
    for run in runs:
        assert all(run[name] == choice[name] for name in ("data", "loss", "images", "epochs"))
        assert (run["end"], len(run["history"])) == ("finished", 1 + choice["epochs"])
    fresh = []

    def keep(run: training_run.Run) -> None:
        fresh[:] = run["history"]

    training_run.watch(training_run.Choice(seed=1), keep, lambda: len(fresh) == 2)
    again = next(run for run in runs if (run["tau"], run["seed"]) == (0.2, 1))["history"]
    assert fresh[0]["tolerance"] == pytest.approx(again[0]["tolerance"], abs=1e-3)
    assert fresh[1]["loss"] == pytest.approx(again[1]["loss"], abs=0.1)  # on any processor


def test_twin_of_a_panel_with_runs_shows_those():
    panel = TrainingPanel(**SMALL)
    trained(panel)
    assert "Runs of this panel" in panel.twin()
    assert f"{panel.runs[0]['history'][-1]['tolerance']:.2f}</td>" in panel.twin()


def test_plain_text_of_a_cell_is_stable():
    panel = TrainingPanel(tau=0.05)
    assert panel._repr_mimebundle_()["text/plain"] == repr(panel) == "TrainingPanel(runs=0)"


def test_curves_stay_in_their_frames():
    panel = TrainingPanel(images=128, epochs=1)
    trained(panel, loss="hard_simple", alpha=0.05)  # its loss lies far below those of the axis
    points = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)(?=[L\"])", panel._picture.value)
    assert points
    assert all(30 <= float(x) <= 182 and 26 <= float(y) <= 158 for x, y in points)


def test_what_the_chapter_says_of_three_temperatures_holds_for_the_recorded_runs():
    ends = {(run["tau"], run["seed"]): run["history"][-1] for run in recorded_runs()}
    for seed in (0, 1):
        for other in (0.05, 1.0):
            assert ends[0.2, seed]["uniformity"] > ends[other, seed]["uniformity"] + 0.2
    for run in recorded_runs():
        start = run["history"][0]
        assert start["uniformity"] < 0.01 and start["tolerance"] > 0.99
        mirrored = np.corrcoef(
            [now["uniformity"] for now in run["history"]], [now["tolerance"] for now in run["history"]]
        )[0, 1]
        assert mirrored < -0.7
