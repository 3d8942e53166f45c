"""A sweep on a Dask cluster: a real scheduler and two worker processes on this machine, started as the book says."""

import os
import signal
import subprocess
import sys
from threading import Thread
from types import SimpleNamespace

import pytest

from contrastlab import cli, cluster, plans, runs, sweep
from small_sweep import EPOCHS, content, under_way, wait_until, write

pytest.importorskip("distributed", reason="Dask is not installed. Run `pip install -e '.[cluster]'`.")


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    """start(threads) -> address of a scheduler that has two such workers."""
    folder, started = tmp_path_factory.mktemp("cluster"), []

    def dask(*options: str) -> None:
        command = [sys.executable, "-m", "dask", *options, "--no-dashboard", "--host", "127.0.0.1"]
        log = (folder / f"log-{len(started)}").open("w")
        started.append(subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True))

    def start(threads: int) -> str:
        from distributed import Client

        file = folder / f"scheduler-{len(started)}.json"
        dask("scheduler", "--port", "0", "--scheduler-file", str(file))
        wait_until(file.exists)
        dask("worker", "--scheduler-file", str(file), "--nworkers", "2", "--nthreads", str(threads))
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=300)
            return client.scheduler.address

    yield start
    for process in reversed(started):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def address(scheduler):
    return scheduler(threads=1)


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


def test_a_run_that_kills_each_worker_is_given_up_and_no_other(address, tmp_path, monkeypatch):
    """joblib alone would wait for it for ever."""

    def attempt(plan, *_):
        if plan.name == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        return SimpleNamespace(name=plan.name, end="done")

    monkeypatch.setattr(runs, "attempt", attempt)
    names = ["a", "poison", "b", "c"]
    with cluster.connected(address, tmp_path):
        ends = {one.name: one.end for one in sweep._outcomes([SimpleNamespace(name=name) for name in names], jobs=2)}
    assert ends == {name: "failed" if name == "poison" else "done" for name in names}


def test_workers_that_cannot_do_the_runs_are_refused(scheduler, root):
    with pytest.raises(cluster.ClusterError, match="2 of 2 workers have several threads"):
        sweep.run_sweep("tiny", root, dask=scheduler(threads=2))
    assert not any(plan.record.exists() for plan in plans.plans("tiny", root))


def test_a_worker_without_the_shared_disk_is_named(tmp_path):
    """One worker looks at this disk, another one, had it a disk of its own, would not find what was just written."""
    elsewhere = tmp_path / "elsewhere"
    client = SimpleNamespace(
        run=lambda see, path: {"tcp://near": see(path), "tcp://far": see(path.replace(str(tmp_path), str(elsewhere)))}
    )
    with pytest.raises(cluster.ClusterError, match="1 of 2 workers do not see .*, such as tcp://far"):
        cluster._check_folder(client, tmp_path / "checkpoints")
    assert not list((tmp_path / "checkpoints").iterdir()), "the check leaves nothing behind"


def test_a_scheduler_that_does_not_answer_is_named(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    monkeypatch.setattr(cluster, "PATIENCE", 1)
    assert cli.main(["sweep", "--profile", "tiny", "--dask", "tcp://127.0.0.1:9"]) == 1
    assert "no Dask scheduler answers at tcp://127.0.0.1:9" in capsys.readouterr().err
