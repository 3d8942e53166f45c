"""A sweep on a Dask cluster: a real scheduler and two worker processes on this machine, started as the book says."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from PIL import Image

from contrastlab import cli, cluster, plans, runs, sweep
from small_sweep import BOOK, EPOCHS, content, under_way, wait_until, write

pytest.importorskip("distributed", reason="Dask is not installed. Run `pip install -e '.[cluster]'`.")


# Runs a command, which follows, in a mount namespace of its own with an empty disk over a folder, which comes first.
WITHOUT = ("unshare", "-Urm", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"')


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """start(threads, workers, blind) -> address of a scheduler that has so many such workers.

    blind: a folder that one more worker does not see, because an empty disk is mounted over it there.
    """
    folder, started = tmp_path_factory.mktemp("cluster"), []

    def dask(*options: str, before: tuple[str, ...] = ()) -> None:
        command = [*before, sys.executable, "-m", "dask", *options, "--no-dashboard", "--host", "127.0.0.1"]
        log = (folder / f"log-{len(started)}").open("w")
        started.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True))

    def start(threads: int = 1, workers: int = 2, blind: Path | None = None) -> str:
        from distributed import Client

        file = folder / f"scheduler-{len(started)}.json"
        dask("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_until(file.exists)
        joining = ("worker", "--scheduler-file", str(file), "--nthreads", str(threads))
        if workers:
            dask(*joining, "--nworkers", str(workers))
        if blind:
            dask(*joining, before=(*WITHOUT, str(blind)))
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            if expected := workers + bool(blind):
                client.wait_for_workers(expected, timeout=300)
            return client.scheduler.address

    yield start
    for process in reversed(started):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def address(scheduler):
    return scheduler()


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "book", EPOCHS)


def process_ids(address: str) -> list[int]:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def test_a_cluster_gives_the_records_of_one_machine_though_a_worker_is_killed(root, address, tmp_path, monkeypatch):
    """The workers were started elsewhere; nothing but the book's absolute path tells them where to read and write."""
    monkeypatch.chdir(root)
    before = process_ids(address)

    def kill():
        wait_until(lambda: under_way(root))
        os.kill(before[0], signal.SIGKILL)

    killer = Thread(target=kill)
    killer.start()
    assert cli.main(["sweep", "--profile", "tiny", "--dask", address]) == 0
    killer.join()
    wait_until(lambda: len(process_ids(address)) == 2)
    assert before[0] not in process_ids(address)
    here = tmp_path / "here"
    sweep.run_sweep("tiny", root, jobs=2, root=here)
    assert content(root) == content_at(here, root)


def content_at(records_root, book):
    (records_root / "book.toml").write_text((book / "book.toml").read_text())
    return content(records_root)


def test_a_run_that_kills_each_worker_is_given_up_and_no_other(address, root, monkeypatch):
    """joblib alone would wait for it for ever."""

    def attempt(plan, *_):
        if plan.name == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return SimpleNamespace(name=plan.name, end="done")

    monkeypatch.setattr(runs, "attempt", attempt)
    names = ["a", "poison", "b", "c"]
    with cluster.connected(address, plans.plans("tiny", root)[0]):
        ends = {one.name: one.end for one in sweep._outcomes([SimpleNamespace(name=name) for name in names], jobs=2)}
    assert ends == {name: "failed" if name == "poison" else "done" for name in names}


def test_workers_that_cannot_do_the_runs_are_refused(scheduler, root):
    with pytest.raises(cluster.ClusterError, match="2 of 2 workers have several threads"):
        sweep.run_sweep("tiny", root, dask=scheduler(threads=2))
    assert not any(plan.record.exists() for plan in plans.plans("tiny", root))


def test_a_worker_without_the_shared_disk_is_named(scheduler, tmp_path):
    """For records and for images alike, wherever each of them lies."""
    blind = tmp_path / "blind"
    blind.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*WITHOUT, blind, "true"], capture_output=True).returncode:
        pytest.skip("mounting a disk that one process alone sees is not allowed here")
    address = scheduler(workers=1, blind=blind)
    lacking = "1 of 2 workers do not see what the runs need: tcp://.* does not see "
    book, mine = write(tmp_path / "book"), blind / "mine"
    with pytest.raises(cluster.ClusterError, match=f"{lacking}{mine / '_build/checkpoints/tiny'}. Records and data"):
        sweep.run_sweep("tiny", book, dask=address, root=mine)
    assert not list((mine / "_build/checkpoints/tiny").iterdir()), "the check leaves nothing behind"
    book, mine = write(blind / "book"), tmp_path / "mine"
    with pytest.raises(cluster.ClusterError, match=f"{lacking}{book / 'data/fashion-mini.npz'}. Records and data"):
        sweep.run_sweep("tiny", book, dask=address, root=mine)
    assert not list(tmp_path.rglob("*.json"))


def test_images_that_are_elsewhere_for_the_workers_are_named(address, root, tmp_path, monkeypatch):
    """~ is another folder for them, as it may be on another machine."""
    (root / "book.toml").write_text(BOOK.replace("fashion-mini", "~/pictures"))
    for n in range(10):
        path = tmp_path / "pictures" / f"class{n % 2}" / f"{n}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), n).save(path)
    theirs = Path.home() / "pictures"
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(cluster.ClusterError, match=f"2 of 2 workers .* does not see {theirs}"):
        sweep.run_sweep("tiny", root, dask=address)


def test_a_cluster_sees_what_torchvision_downloads(root):
    """Before the workers ask for it all at once."""
    (root / "book.toml").write_text(BOOK.replace("fashion-mini", "cifar10"))
    plan = plans.plans("tiny", root)[0]
    probe = root / "data" / "probe"
    probe.touch()
    assert cluster._unseen(probe, plan) == str(root / "data/downloads")
    (root / "data/downloads").mkdir()
    assert cluster._unseen(probe, plan) == ""


def test_a_scheduler_without_workers_says_what_to_start(scheduler, root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    assert cli.main(["sweep", "--profile", "tiny", "--dask", scheduler(workers=0)]) == 1
    told = "the Dask scheduler has no workers. Start some: dask worker ADDRESS --nthreads 1"
    assert told in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_named(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    assert cli.main(["sweep", "--profile", "tiny", "--dask", "tcp://127.0.0.1:9"]) == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
