"""Faults of real processes: finished runs stay whole, the rest is done once, the outcome is that without the fault."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace

import pytest

from contrastlab import files, plans, runs, sweep
from small_sweep import EPOCHS, content, start, under_way, wait_until, workers, write


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the runs compute when nothing happens to them."""
    root = write(tmp_path_factory.mktemp("undisturbed") / "book", EPOCHS)
    sweep.run_sweep("tiny", root, jobs=2)
    return content(root)


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "book", EPOCHS)


def recorded(root) -> dict[str, bytes]:
    return {plan.name: plan.record.read_bytes() for plan in plans.plans("tiny", root) if plan.record.exists()}


def runs_done(said: str) -> int:
    return int(re.search(r"(\d+) of 4 runs done", said)[1])


def test_a_worker_killed_in_mid_run_costs_no_run(root, undisturbed, capsys):
    killed = []

    def kill():
        wait_until(lambda: under_way(root))
        killed.append(workers()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    sweep.run_sweep("tiny", root, jobs=2)
    killer.join()
    assert killed and killed[0] not in workers()
    assert runs_done(capsys.readouterr().out) == 4
    assert content(root) == undisturbed


def test_a_run_that_kills_each_of_its_processes_is_given_up_and_no_other(monkeypatch, tmp_path):
    def attempt(plan, *_):
        (tmp_path / f"{plan.name}-{os.getpid()}").touch()
        if plan.name == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return SimpleNamespace(name=plan.name, end="done")

    monkeypatch.setattr(runs, "attempt", attempt)
    names = ["a", "poison", "b", "c", "d"]
    ends = {one.name: one.end for one in sweep._outcomes([SimpleNamespace(name=name) for name in names], jobs=2)}
    assert ends == {name: "failed" if name == "poison" else "done" for name in names}
    assert len(list(tmp_path.glob("poison-*"))) == sweep.CHANCES


def test_an_interrupted_sweep_leaves_no_process_and_goes_on(root, undisturbed):
    process = start(root, jobs=2)
    wait_until(lambda: recorded(root) and under_way(root))
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does: to the command and to its workers
    process.communicate()
    assert process.returncode == 130
    wait_until(lambda: not is_alive(process.pid))
    before = recorded(root)
    assert 0 < len(before) < 4 and all(json.loads(content) for content in before.values())
    sweep.run_sweep("tiny", root, jobs=2)
    assert recorded(root).items() >= before.items(), "a finished run was done again"
    assert content(root) == undisturbed


def test_a_killed_sweep_is_taken_over_at_once(root, undisturbed):
    """Its workers end after the epoch that they are at; until then the next sweep keeps away from their runs."""
    process = start(root, jobs=2)
    wait_until(lambda: under_way(root))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    sweep.run_sweep("tiny", root, jobs=2)
    assert content(root) == undisturbed
    wait_until(lambda: not is_alive(process.pid))


# A worker that has done with one run and waits for another, and the process that started it.
IDLE_WORKER = """
import os, time
from contrastlab import plans, runs
print(runs.attempt(plans.plans("tiny")[0], False, os.getppid()).end, os.getpid(), flush=True)
time.sleep(600)
"""
ITS_SWEEP = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


def test_a_worker_between_two_runs_ends_with_its_sweep(root):
    command = [sys.executable, "-c", ITS_SWEEP, IDLE_WORKER]
    process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
    end, worker = process.stdout.readline().split()
    assert end == "done" and is_there(int(worker))
    process.kill()
    process.communicate()
    wait_until(lambda: not is_there(int(worker)), seconds=60)


# A sweep that dies while its worker is still importing what it needs.
LATE_WORKER = """
import multiprocessing, os, signal
from contrastlab import plans, runs
work = plans.plans("tiny")[0], False, os.getpid()
worker = multiprocessing.get_context("spawn").Process(target=runs.attempt, args=work)
worker.start()
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_that_starts_after_its_sweep_died_ends_without_a_run(root):
    process = subprocess.run([sys.executable, "-c", LATE_WORKER], cwd=root, capture_output=True, text=True)
    wait_until(lambda: not is_there(int(process.stdout)), seconds=60)
    assert recorded(root) == {}


def test_two_sweeps_on_one_folder_share_the_runs(root, undisturbed):
    both = [start(root, jobs=1), start(root, jobs=1)]
    said = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum(map(runs_done, said)) == 4, said
    assert content(root) == undisturbed


def test_a_full_disk_ends_a_sweep_with_its_finished_runs_whole(root, undisturbed, monkeypatch):
    fsync, left = os.fsync, iter(range(EPOCHS + 4))  # the first run fits, its checkpoints, embeddings and record

    def until_full(handle):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(files.os, "fsync", until_full)
    with pytest.raises(sweep.RunsFailed, match="No space left on device"):
        sweep.run_sweep("tiny", root, jobs=1)
    monkeypatch.undo()
    before = recorded(root)
    assert list(before) == ["contrastive-tau0.1-seed0"]
    assert not list(root.rglob(".*.json.*")) and not list(root.rglob(".*.safetensors.*")), "parts of files are left"
    sweep.run_sweep("tiny", root, jobs=2)
    assert recorded(root).items() >= before.items()
    assert content(root) == undisturbed


def is_alive(group: int) -> bool:
    """Whether a process of the group is left."""
    return is_there(group, os.killpg)


def is_there(process: int, kill: Callable[[int, int], None] = os.kill) -> bool:
    """Whether the process is left."""
    try:
        kill(process, 0)
    except ProcessLookupError:
        return False
    return True
