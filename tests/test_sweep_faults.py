"""Faults of real processes: finished runs stay whole, the rest is done once, the outcome is that without the fault."""

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from threading import Thread
from types import SimpleNamespace

import pytest

from contrastlab import files, plans, runs, sweep
from small_sweep import EPOCHS, NAMES, content, start, under_way, wait_until, workers, write


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the runs compute when nothing happens to them."""
    root = write(tmp_path_factory.mktemp("undisturbed") / "book", EPOCHS)
    sweep.run_sweep("tiny", root, jobs=2)
    return content(root)


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "book", EPOCHS)


def recorded(root) -> dict[str, tuple[bytes, int]]:
    """Every record there is, by name: its bytes, and when it was written."""
    paths = {plan.name: plan.record for plan in plans.plans("tiny", root)}
    return {name: (path.read_bytes(), path.stat().st_mtime_ns) for name, path in paths.items() if path.exists()}


def runs_done(said: str) -> int:
    return int(re.search(r"(\d+) of 4 runs done", said)[1])


def told(said: str) -> list[str]:
    """The runs that a sweep did by its own account, each with its line."""
    return re.findall(r"([\w.-]+): \d+ s, linear accuracy", said)


def some_are_done_and_some_under_way(root) -> bool:
    return bool(recorded(root) and under_way(root))


def test_a_worker_killed_in_mid_run_costs_no_run(root, undisturbed, capsys):
    killed, before = [], {}

    def kill():
        wait_until(lambda: some_are_done_and_some_under_way(root))
        before.update(recorded(root))
        killed.append(workers()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    sweep.run_sweep("tiny", root, jobs=2)
    killer.join()
    assert killed and killed[0] not in workers()
    assert 0 < len(before) < 4
    assert recorded(root).items() >= before.items(), "a finished run was written again"
    said = capsys.readouterr().out
    assert runs_done(said) == 4 and sorted(told(said)) == sorted(NAMES), "each run once"
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


@pytest.mark.parametrize(
    ("send", "number", "code"),
    [
        pytest.param(os.killpg, signal.SIGINT, 130, id="Ctrl-C, to the command and to its workers"),
        pytest.param(os.killpg, signal.SIGTERM, -signal.SIGTERM, id="Slurm's, to all of a job"),
        pytest.param(os.kill, signal.SIGTERM, -signal.SIGTERM, id="a plain kill, to the command alone"),
        pytest.param(os.kill, signal.SIGKILL, -signal.SIGKILL, id="want of memory, to the command alone"),
    ],
)
def test_a_sweep_that_is_ended_is_taken_over_at_once(root, undisturbed, capsys, send, number, code):
    """Workers that are left end after the epoch they are at; until then the next sweep keeps away from their runs."""
    process = start(root, jobs=2)
    wait_until(lambda: some_are_done_and_some_under_way(root))
    before = recorded(root)
    send(process.pid, number)
    assert process.wait() == code
    sweep.run_sweep("tiny", root, jobs=2)
    assert 0 < len(before) < 4
    assert recorded(root).items() >= before.items(), "a finished run was written again"
    wait_until(lambda: not is_alive(process.pid))
    first, second = told(process.communicate()[0]), told(said := capsys.readouterr().out)
    assert len(second) == runs_done(said) and not set(second) & {*first, *before}, "a run was done twice"
    assert content(root) == undisturbed


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


def test_workers_that_cannot_write_end_with_the_finished_runs_whole(root, undisturbed, capsys):
    """A limit on the size of files, as quotas have it: no checkpoint of a worker gets through."""
    first = plans.plans("tiny", root)[0]
    assert runs.attempt(first).end == "done"
    fails_and_goes_on(root, start(root, jobs=2, largest_file=1000), "File too large", [first.name])
    sweep.run_sweep("tiny", root, jobs=2)
    assert runs_done(capsys.readouterr().out) == 3
    assert content(root) == undisturbed


def fails_and_goes_on(root, process, why, finished):
    """A sweep without room names every run that it could not do, and leaves no parts; the finished ones are whole."""
    before = recorded(root)
    assert list(before) == finished
    said = process.communicate()[0]
    assert process.returncode == 1, said
    failed = re.findall(rf"^([\w.-]+): .*{why}", said.split("these runs failed")[1], re.MULTILINE)
    assert sorted([*failed, *finished]) == sorted(NAMES), said
    assert recorded(root) == before
    assert not list(root.rglob(".*.json.*")) and not list(root.rglob(".*.safetensors.*")), "parts of files are left"


ROOM = 120_000  # bytes: a checkpoint of 80,000, and not the next one of its run beside it


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes the rights of root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_workers_on_a_full_disk_end_with_the_finished_runs_whole(small_disk, undisturbed, capsys):
    """A disk that is full in truth, for two workers at once, until room is made."""
    root = write(small_disk / "book", EPOCHS)
    first = plans.plans("tiny", root)[0]
    assert runs.attempt(first).end == "done"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(shutil.disk_usage(small_disk).free - ROOM))
    fails_and_goes_on(root, start(root, jobs=2), "No space left on device", [first.name])
    ballast.unlink()
    sweep.run_sweep("tiny", root, jobs=2)
    assert runs_done(capsys.readouterr().out) == 3
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
