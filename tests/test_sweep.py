"""Sweeps: finished runs are skipped, killed ones go on, damaged records are set aside, failures do not end the rest."""

import json
import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from threadpoolctl import threadpool_info

from contrastlab import cli, evaluate, plans, records, runs, sweep
from contrastlab import train as train_module
from contrastlab.manifest import ManifestError
from contrastlab.names import UnknownName
from small_sweep import BOOK, NAMES, wait_until, write


@pytest.fixture
def root(tmp_path, monkeypatch):
    write(tmp_path / "book")
    monkeypatch.chdir(tmp_path / "book")
    return tmp_path / "book"


@pytest.fixture
def measured(monkeypatch):
    """Metrics that cost nothing: the sweep's own conduct is tested here, not the probe."""
    shown = {"linear_accuracy": 1.0, "uniformity": 2.0, "tolerance": 3.0}
    monkeypatch.setattr(evaluate, "metrics", lambda *_: dict(shown))


def test_a_profile_is_every_column_at_every_temperature_seed_by_seed(root):
    todo = plans.plans("tiny")
    assert [plan.name for plan in todo] == NAMES
    assert [plan.keeps_embeddings for plan in todo] == [True, True, False, False]
    assert len({plan.record for plan in todo}) == 4


def test_a_name_tells_whatever_the_column_sets(root):
    column = '{ loss = "contrastive", tau = [0.05, 1.0], lr = 0.03, negatives = "bank" }'
    (root / "book.toml").write_text(BOOK.replace('{ loss = "contrastive", tau = [0.1] }', column))
    assert [plan.name for plan in plans.plans("tiny")][:2] == [
        "contrastive-tau0.05-lr0.03-bank-seed0",
        "contrastive-tau1-lr0.03-bank-seed0",
    ]


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
    said = [line for line in capsys.readouterr().out.splitlines() if "images/s" in line]
    assert said[0].startswith("4 of 4 runs done in 0.") and said[0].endswith("; 0 were recorded already, 0 failed")
    assert said[1] == "0 of 4 runs done in 0.0 minutes, 0 images/s; 4 were recorded already, 0 failed"


def test_a_bar_counts_the_runs_and_each_finished_run_tells_its_measures_in_a_line(root, measured, capsys):
    sweep.run_sweep("tiny", jobs=1)
    said = capsys.readouterr()
    lines = said.out.splitlines()
    for name in NAMES:
        told = rf"{name}: \d+ s, linear accuracy 1, uniformity 2, tolerance 3"
        assert sum(re.fullmatch(told, line) is not None for line in lines) == 1, said.out
    for count in range(1, 4):
        assert re.search(rf"tiny: +{25 * count}%\|.*\| {count}/4 \[\d\d:\d\d<\d\d:\d\d, ", said.err), "the time left"
    assert re.search(r"tiny: 100%\|.*\| 4/4 \[\d\d:\d\d<00:00, .*run", said.err)
    sweep.run_sweep("tiny", jobs=1)
    assert "0/4" not in capsys.readouterr().err, "what is recorded already counts from the start"


def test_one_run_a_core_that_this_process_may_use_and_one_on_a_gpu(monkeypatch):
    """Slurm and taskset leave some cores to a process, a container a share of them; joblib knows both."""
    one = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])"
    program = f"{one}; from contrastlab import sweep; print(sweep.default_jobs())"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert said.stdout.strip() == "1", said.stderr
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert sweep.default_jobs() == 1
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT")
    assert 1 <= sweep.default_jobs() <= len(os.sched_getaffinity(0))
    monkeypatch.setattr(sweep, "cpu_count", lambda: 16)
    assert sweep.default_jobs() == 16
    monkeypatch.setattr(sweep, "pick_device", lambda: torch.device("cuda"))
    assert sweep.default_jobs() == 1


def test_a_sweep_does_as_many_runs_at_a_time_as_that(root, measured, monkeypatch):
    asked, parallel = [], sweep._parallel
    monkeypatch.setattr(sweep, "_parallel", lambda jobs: asked.append(jobs) or parallel(1))
    monkeypatch.setattr(sweep, "cpu_count", lambda: 7)
    sweep.run_sweep("tiny")
    assert asked == [7]


def test_a_worker_has_one_thread_whatever_the_machine_would_give_it(monkeypatch):
    def attempt(plan, *_):
        pools = [pool["num_threads"] for pool in threadpool_info()]
        return SimpleNamespace(name=plan.name, end="done", threads=[torch.get_num_threads(), *pools])

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "4")
    monkeypatch.setattr(runs, "attempt", attempt)
    todo = [SimpleNamespace(name=name) for name in NAMES]
    with sweep._workers(todo, None):
        found = list(sweep._outcomes(todo, jobs=2))
    assert len(found) == 4 and all(set(outcome.threads) == {1} for outcome in found), found


def test_a_run_has_one_thread_where_it_shares_the_process_of_its_sweep(root, measured, monkeypatch):
    """With one job there is no worker, and PyTorch has as many threads as it likes."""
    before, seen = torch.get_num_threads(), []
    train = runs.train
    monkeypatch.setattr(runs, "train", lambda *a, **b: seen.append(torch.get_num_threads()) or train(*a, **b))
    torch.set_num_threads(3)
    try:
        runs.attempt(plans.plans("tiny")[0])
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_a_cluster_without_dask_says_what_to_install(root, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)  # as Python has it for what cannot be imported
    assert cli.main(["sweep", "--profile", "tiny", "--dask", "tcp://127.0.0.1:9"]) == 1
    assert (
        "Dask is not installed. Run `pip install -e '.[cluster]'` here and on every worker" in capsys.readouterr().err
    )


def test_the_summary_counts_an_image_once_an_epoch(root, measured):
    done = runs.attempt(plans.plans("tiny")[0])
    assert (done.end, done.images) == ("done", 2 * 128)
    failed = runs.Outcome("x", "failed")
    assert sweep.summary(9, [done, failed], 120) == (
        "1 of 9 runs done in 2.0 minutes, 2 images/s; 7 were recorded already, 1 failed"
    )


def test_the_first_seeds_keep_the_embeddings_of_test_images(root, measured, monkeypatch):
    monkeypatch.setattr(runs, "KEPT_EMBEDDINGS", 30)
    sweep.run_sweep("tiny", jobs=1)
    z, labels = records.load_embeddings("tiny", NAMES[0])
    assert z.shape == (30, 8) and len(labels) == 30
    np.testing.assert_allclose(z.norm(dim=1), 1, atol=2e-3)
    with pytest.raises(FileNotFoundError, match="Kept are: contrastive-tau0.1-seed0, hard-simple-k9-seed0"):
        records.load_embeddings("tiny", NAMES[2])


def test_records_may_be_kept_elsewhere_from_nothing(root, measured, tmp_path):
    """--records: neither records nor checkpoints of the book are used, and records.load reads the result."""
    here = [path.read_bytes() for path in sweep.run_sweep("tiny", jobs=1)]
    mine = tmp_path / "mine"
    assert cli.main(["sweep", "--profile", "tiny", "--jobs", "1", "--records", str(mine)]) == 0
    assert len(list((mine / "_build/checkpoints/tiny").glob("*.lock"))) == 4
    again, first = records.load("tiny", root=mine), records.load("tiny")
    assert [record["history"] for record in again] == [record["history"] for record in first]
    assert [plan.record.read_bytes() for plan in plans.plans("tiny")] == here, "those of the book are as they were"


def test_a_folder_of_images_is_found_from_the_book_wherever_a_worker_is(root, tmp_path, monkeypatch):
    (root / "book.toml").write_text(BOOK.replace("fashion-mini", "data/pictures"))
    plan = plans.plans("tiny")[0]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"no folder {root / 'data' / 'pictures'}"):
        plan.load("train")


def test_a_dead_encoder_is_recorded_and_says_what_has_no_value(root, monkeypatch):
    """All features zero: no direction, hence no uniformity; the run counts, and a table shows a gap, not a number."""
    plan = plans.plans("tiny")[0]
    train = runs.train

    def train_then_die(*arguments, **options):
        trained = train(*arguments, **options)
        trained.encoder.backbone[-4].weight.data.zero_()  # the last normalisation, before ReLU and mean
        trained.encoder.backbone[-4].bias.data.fill_(-1)
        return trained

    monkeypatch.setattr(runs, "train", train_then_die)
    assert runs.attempt(plan).end == "done"
    metrics = records.read(plan.record)["metrics"]
    assert [name for name, value in metrics.items() if value is None] == ["tolerance_features", "uniformity_features"]
    assert (metrics["uniformity"], metrics["linear_accuracy"]) == (0, 10)
    taus, values = records.table(records.load("tiny"), "uniformity_features")
    assert taus == [0.1] and np.isnan(values).all() and values.dtype == float


def test_a_run_that_another_process_is_at_is_left_to_it_and_then_waited_for(root, measured):
    """The others are done first; a lock that nobody holds, as a killed process leaves it, stops nobody."""
    todo = plans.plans("tiny")
    todo[1].lock.parent.mkdir(parents=True)
    todo[1].lock.touch()
    with FileLock(todo[0].lock):
        assert runs.attempt(todo[0]).end == "elsewhere"
        sweeping = threading.Thread(target=sweep.run_sweep, args=("tiny",), kwargs={"jobs": 1})
        sweeping.start()
        wait_until(lambda: all(plan.record.exists() for plan in todo[1:]))
        assert sweeping.is_alive() and not todo[0].record.exists()
    sweeping.join(120)
    assert todo[0].record.exists() and runs.attempt(todo[0]).end == "found"


def test_a_damaged_record_is_named_set_aside_and_done_again(root, measured, capsys):
    plan = plans.plans("tiny")[0]
    path = plan.record
    assert runs.attempt(plan).end == "done"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert runs.attempt(plan).end == "done"
    assert "is no whole record" in (said := capsys.readouterr().out)
    assert f"set aside as {path.name}.damaged" in said
    assert path.with_name(path.name + ".damaged").read_bytes() == whole[:100]
    assert json.loads(path.read_bytes())["history"] == json.loads(whole)["history"]


def test_a_run_is_done_again_in_full_when_its_record_is_damaged_or_moved_away(root, measured):
    plan = plans.plans("tiny")[0]
    runs.attempt(plan)
    assert not plan.checkpoint.exists(), "a finished checkpoint would end the next run before it begins"
    for lose in (lambda path: path.write_text("{"), lambda path: path.rename(path.with_name("away"))):
        lose(plan.record)
        assert runs.attempt(plan).images == 2 * 128


def test_a_moved_record_gives_way_to_a_changed_profile(root, measured):
    runs.attempt(plans.plans("tiny")[0])
    (root / "book.toml").write_text(BOOK.replace("epochs = 2", "epochs = 3"))
    plan = plans.plans("tiny")[0]
    with pytest.raises(ValueError, match=f"Move it away to do the run again, and {plan.checkpoint} too if it is there"):
        plan.is_recorded()
    plan.record.rename(plan.record.with_name("away"))
    assert runs.attempt(plan).end == "done" and len(records.read(plan.record)["history"]) == 3


def test_a_run_that_was_killed_records_the_seconds_of_all_its_processes(root, measured, monkeypatch):
    plan = plans.plans("tiny")[0]
    seconds = iter([0, 100, 1000, 1010])  # an epoch of 100 seconds before the kill, one of 10 after it
    monkeypatch.setattr(train_module, "time", SimpleNamespace(perf_counter=lambda: next(seconds)))
    with pytest.raises(KeyboardInterrupt):
        runs.do_run(plan, raise_interrupt)
    assert runs.do_run(plan)["seconds"]["train"] == 110


def raise_interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "change",
    [
        ("epochs = 2", "epochs = 3"),
        ("train_images = 128", "train_images = 160"),
        ("train_images = 128\n", ""),
        ("fashion-mini", "cifar10"),
    ],
)
def test_a_record_of_other_settings_is_never_replaced_nor_taken_for_done(root, measured, change):
    plan = plans.plans("tiny")[0]
    runs.attempt(plan)
    path, content = plan.record, plan.record.read_bytes()
    (root / "book.toml").write_text(BOOK.replace(*change))
    with pytest.raises(ValueError, match="was made with other settings"):
        sweep.run_sweep("tiny", jobs=1)
    assert path.read_bytes() == content


def test_one_failed_run_does_not_end_the_others(root, measured, monkeypatch, capsys):
    original = runs.do_run

    def fail_once(plan, *after):
        return 1 / 0 if plan.name == NAMES[0] else original(plan, *after)

    monkeypatch.setattr(runs, "do_run", fail_once)
    with pytest.raises(sweep.RunsFailed, match=r"(?s)these runs failed.*contrastive-tau0\.1-seed0: ZeroDivisionError"):
        sweep.run_sweep("tiny", jobs=1)
    assert [plan.record.exists() for plan in plans.plans("tiny")] == [False, True, True, True]
    assert "3 of 4 runs done" in capsys.readouterr().out


def test_unknown_profile_and_setting_name_the_near_match(root):
    with pytest.raises(ValueError, match="unknown profile 'tini'. Did you mean 'tiny'"):
        plans.plans("tini")
    with pytest.raises(ValueError, match="unknown training setting 'epoch'. Did you mean 'epochs'"):
        plans.plans("odd")


COLUMN, TRAIN = '{ loss = "contrastive", tau = [0.1] }', "train = { epochs = 2,"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('data = "fashion-mini"\ntrain_images', "train_images", r"lacks the key 'data' in \[profiles.tiny\]. Add it"),
        ("seeds = [0, 1]\n", "", "lacks the key 'seeds'"),
        ("seeds = [0, 1]", "seeds = 0", "'seeds' .* is 0, expected seeds"),
        ("seeds = [0, 1]", "seeds = [0, true]", "'seeds' .* expected seeds"),
        ("seeds = [0, 1]", "seeds = [0, 0]", "asks twice for the run contrastive-tau0.1-seed0"),
        ("seeds = [0, 1]", "seed = [0, 1]", "unknown key of .* 'seed'. Did you mean 'seeds'"),
        ("train_images = 128", "train_images = 0", "'train_images' .* is 0, expected train_images = 1000"),
        ("embeddings = [0]", "embeddings = 0", "'embeddings' .* is 0, expected embeddings"),
        (COLUMN, "{ tau = [0.1] }", "'loss' in the column .* is None, expected loss"),
        (COLUMN, "3", "'columns' .* expected columns"),
        ("tau = [0.1]", "tau = 0.1", r"'tau' in the column .* is 0.1, expected a list: tau = \[0.1, 1.0\]"),
        ("tau = [0.1]", "tau = []", r"'tau' in the column .* is \[\], expected a list"),
        ("tau = [0.1]", "milestones = [1]", "'milestones' in the column .* is a list, .* Put it into 'train'"),
        ("tau = [0.1]", "seed = 1", "'seed' stands in the column .* It belongs into the profile: seeds"),
        (TRAIN, TRAIN + " tau = 0.1,", "'tau' stands in 'train' of .* It belongs into a column, as a list"),
        (TRAIN, TRAIN + " seed = 1,", "'seed' stands in 'train' of .* It belongs into the profile"),
        (TRAIN, TRAIN + ' lr = "high",', "'lr' in 'train' of .* is 'high', expected a value of type float"),
        (TRAIN, TRAIN + " milestones = 3,", "'milestones' in 'train' of .* expected a value of type list of int"),
    ],
)
def test_a_malformed_profile_says_where_and_what_to_do(root, old, new, message):
    assert BOOK.count(old) in (1, 2)
    (root / "book.toml").write_text(BOOK.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as told:
        plans.plans("tiny")
    assert isinstance(told.value, ManifestError | UnknownName)


def test_a_profile_without_columns_or_settings_is_told(root):
    columns = BOOK[BOOK.index("columns") : BOOK.index("[profiles.odd]")]
    (root / "book.toml").write_text(BOOK.replace(columns, "columns = []\n"))
    with pytest.raises(ManifestError, match=r"'columns' in \[profiles.tiny\] is \[\], expected columns = "):
        sweep.run_sweep("tiny")
    (root / "book.toml").write_text(BOOK[: BOOK.index("[profiles.tiny]")] + "[profiles]\ntiny = 3\n")
    with pytest.raises(ManifestError, match=r"\[profiles.tiny\] is 3, expected a table"):
        plans.plans("tiny")


def test_an_unwritable_records_folder_is_named(root):
    (root / "data" / "runs").write_text("in the way")
    with pytest.raises(PermissionError, match="cannot write into"):
        sweep.run_sweep("tiny", jobs=1)


def record_of(tau: float, seed: int, lr: float = 0.1, data: str = "fashion-mini", **metrics: float) -> dict:
    config = {"loss": "contrastive", "tau": tau, "seed": seed, "lr": lr}
    return {"data": {"name": data}, "config": config, "metrics": metrics}


def test_table_is_sorted_by_temperature_and_seed():
    taus, values = records.table([record_of(t, s, m=10 * t + s) for t in (1.0, 0.1) for s in (1, 0)], "m")
    assert taus == [0.1, 1.0]
    np.testing.assert_allclose(values, [[1, 10], [2, 11]])


def test_table_says_what_is_absent():
    with pytest.raises(ValueError, match=r"not finished: no run for \(seed, tau\) = \[\(1, 0.1\)\]"):
        records.table([record_of(0.1, 0, m=1), record_of(1.0, 0, m=1), record_of(1.0, 1, m=1)], "m")
    with pytest.raises(ValueError, match="unknown metric 'n'; recorded are m"):
        records.table([record_of(0.1, 0, m=1)], "n")


def test_table_takes_no_run_for_another():
    one = record_of(0.1, 0, m=1)
    with pytest.raises(ValueError, match=r"2 runs have \(seed, tau\) = \(0, 0.1\) and differ in lr. Choose"):
        records.table([one, record_of(0.1, 0, lr=0.2, m=1)], "m")
    with pytest.raises(ValueError, match="differ in data, lr. Choose"):
        records.table([one, record_of(0.1, 0, lr=0.2, data="cifar10", m=1)], "m")
    with pytest.raises(ValueError, match="is there 2 times. Load each profile once"):
        records.table([one, one], "m")


def test_a_damaged_record_says_how_to_get_the_run_again(root, measured):
    plan = plans.plans("tiny")[0]
    runs.attempt(plan)
    plan.record.write_text("{}")
    with pytest.raises(records.DamagedRecord, match="it lacks config.* contrastlab sweep --profile tiny"):
        records.load("tiny")
    assert plan.record.read_text() == "{}", "reading moves nothing"


def test_records_that_do_not_exist_say_how_to_make_them(root):
    with pytest.raises(FileNotFoundError, match="contrastlab sweep --profile tiny"):
        records.load("tiny")


def test_a_finished_run_is_never_written_over(tmp_path):
    path = tmp_path / "run.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.write(path, {"a": float("nan")})
    records.write(path, {"a": 1})
    with pytest.raises(FileExistsError, match="holds a finished run already"):
        records.write(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
