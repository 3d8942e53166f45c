"""Sweeps: finished runs are skipped, killed ones go on, damaged records are set aside, failures do not end the rest."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from contrastlab import files, records, sweep

PROFILE = """
parts = []
[book]
title = "A book of one test"
subtitle = ""
authors = ["nobody"]
description = ""
language = "en"
licence = "none"
[profiles.tiny]
data = "fashion-mini"
train_images = 128
seeds = [0, 1]
train = { epochs = 2, width = 4, dim = 8, batch_size = 32 }
columns = [{ loss = "contrastive", tau = [0.1] }, { loss = "hard_simple", k = 9 }]
[profiles.odd]
data = "fashion-mini"
seeds = [0]
train = { epoch = 2 }
columns = [{ loss = "simple" }]
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    (tmp_path / "book.toml").write_text(PROFILE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fashion-mini.npz").symlink_to(files.repository_root() / "data" / "fashion-mini.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def measured(monkeypatch):
    """Metrics that cost nothing: the sweep's own conduct is tested here, not the probe."""
    shown = {"linear_accuracy": 1.0, "uniformity": 2.0, "tolerance": 3.0}
    monkeypatch.setattr(sweep.evaluate, "metrics", lambda *_: dict(shown))


def test_a_profile_is_every_column_at_every_temperature_with_every_seed(root):
    names = [plan.name for plan in sweep.plans("tiny")]
    assert names == [
        "contrastive-tau0.1-seed0", "contrastive-tau0.1-seed1", "hard-simple-k9-seed0", "hard-simple-k9-seed1",
    ]  # fmt: skip
    assert len({plan.record for plan in sweep.plans("tiny")}) == 4


def test_a_sweep_records_each_run_and_skips_it_the_next_time(root, measured, capsys):
    paths = sweep.run_sweep("tiny", jobs=1)
    first = [path.read_bytes() for path in paths]
    record = records.read(paths[0])
    assert record["config"]["seed"] == 0 and record["data"] == {"name": "fashion-mini", "train": 128, "test": 2000}
    assert len(record["history"]) == 2 and set(record["versions"]) >= {"torch", "contrastlab"}
    changed = [path.stat().st_mtime_ns for path in paths]
    assert sweep.run_sweep("tiny", jobs=1) == paths
    assert [path.stat().st_mtime_ns for path in paths] == changed
    assert [path.read_bytes() for path in paths] == first


def test_two_processes_give_the_same_records_as_one(root, measured):
    one = {path.name: records.read(path) for path in sweep.run_sweep("tiny", jobs=1)}
    (root / "data" / "runs").rename(root / "earlier")
    (root / "_build").rename(root / "earlier-build")
    for path in sweep.run_sweep("tiny", jobs=2):
        assert records.read(path)["history"] == one[path.name]["history"]


def test_a_damaged_record_is_named_set_aside_and_done_again(root, measured, capsys):
    path = sweep.run_sweep("tiny", jobs=1)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    sweep.run_sweep("tiny", jobs=1)
    assert "is no whole record" in (said := capsys.readouterr().out)
    assert f"set aside as {path.name}.damaged" in said
    assert path.with_name(path.name + ".damaged").read_bytes() == whole[:100]
    assert json.loads(path.read_bytes())["history"] == json.loads(whole)["history"]


@pytest.mark.parametrize(
    "change", [("epochs = 2", "epochs = 3"), ("train_images = 128", "train_images = 160"), ("fashion-mini", "cifar10")]
)
def test_a_record_of_other_settings_is_never_replaced_nor_taken_for_done(root, measured, change):
    path = sweep.run_sweep("tiny", jobs=1)[0]
    content = path.read_bytes()
    (root / "book.toml").write_text(PROFILE.replace(*change))
    with pytest.raises(ValueError, match="was made with other settings"):
        sweep.run_sweep("tiny", jobs=1)
    assert path.read_bytes() == content


def test_one_failed_run_does_not_end_the_others(root, measured, monkeypatch):
    original = sweep.do_run
    monkeypatch.setattr(
        sweep, "do_run", lambda plan: 1 / 0 if plan.config.seed == 0 and plan.config.tau else original(plan)
    )
    with pytest.raises(RuntimeError, match=r"(?s)these runs failed.*contrastive-tau0\.1-seed0: ZeroDivisionError"):
        sweep.run_sweep("tiny", jobs=1)
    assert [plan.record.exists() for plan in sweep.plans("tiny")] == [False, True, True, True]


def test_a_sweep_killed_in_mid_run_goes_on_from_its_last_epoch(root):
    """A real process, really killed after the first epoch; the rest is done and equals an undisturbed sweep."""
    script = textwrap.dedent("""
        from contrastlab import sweep
        sweep.evaluate.metrics = lambda *_: {"linear_accuracy": 1.0, "uniformity": 2.0, "tolerance": 3.0}
        sweep.run_sweep("tiny", jobs=1)
    """)
    process = subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.DEVNULL)
    checkpoints = root / "_build" / "checkpoints" / "tiny"
    deadline = time.monotonic() + 120
    while not list(checkpoints.glob("*.safetensors")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list((root / "data" / "runs" / "tiny").glob("*.json")))
    assert done < 4
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, stdout=subprocess.DEVNULL)
    after_kill = {record["config"]["seed"]: record["history"] for record in records.load("tiny")[:2]}
    (root / "data" / "runs").rename(root / "earlier")
    (root / "_build").rename(root / "earlier-build")
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, stdout=subprocess.DEVNULL)
    assert {record["config"]["seed"]: record["history"] for record in records.load("tiny")[:2]} == after_kill


def test_unknown_profile_and_setting_name_the_near_match(root):
    with pytest.raises(ValueError, match="unknown profile 'tini'. Did you mean 'tiny'"):
        sweep.plans("tini")
    with pytest.raises(ValueError, match="unknown training setting 'epoch'. Did you mean 'epochs'"):
        sweep.plans("odd")


def test_an_unwritable_records_folder_is_named(root):
    (root / "data" / "runs").write_text("in the way")
    with pytest.raises(PermissionError, match="cannot write into"):
        sweep.run_sweep("tiny", jobs=1)


def record_of(tau: float, seed: int, **metrics: float) -> dict:
    return {"config": {"loss": "contrastive", "tau": tau, "seed": seed}, "metrics": metrics}


def test_table_is_sorted_by_temperature_and_seed():
    taus, values = records.table([record_of(t, s, m=10 * t + s) for t in (1.0, 0.1) for s in (1, 0)], "m")
    assert taus == [0.1, 1.0]
    np.testing.assert_allclose(values, [[1, 10], [2, 11]])


def test_table_says_what_is_absent():
    with pytest.raises(ValueError, match=r"not finished: no run for \(seed, tau\) = \[\(1, 0.1\)\]"):
        records.table([record_of(0.1, 0, m=1), record_of(1.0, 0, m=1), record_of(1.0, 1, m=1)], "m")
    with pytest.raises(ValueError, match="unknown metric 'n'; recorded are m"):
        records.table([record_of(0.1, 0, m=1)], "n")


def test_records_that_do_not_exist_say_how_to_make_them(root):
    with pytest.raises(FileNotFoundError, match="contrastlab sweep --profile tiny"):
        records.load("tiny")


def test_a_finished_run_is_never_written_over(tmp_path):
    path = tmp_path / "run.json"
    records.write(path, {"a": 1})
    with pytest.raises(FileExistsError, match="holds a finished run already"):
        records.write(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
