"""A book of one small profile, and what the tests of sweeps ask of its records."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from contrastlab import files, plans, records

BOOK = """
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
embeddings = [0]
train = { epochs = 2, width = 4, dim = 8, batch_size = 32 }
columns = [{ loss = "contrastive", tau = [0.1] }, { loss = "hard_simple", k = 9 }]
[profiles.odd]
data = "fashion-mini"
seeds = [0]
train = { epoch = 2 }
columns = [{ loss = "simple" }]
"""
NAMES = ["contrastive-tau0.1-seed0", "hard-simple-k9-seed0", "contrastive-tau0.1-seed1", "hard-simple-k9-seed1"]
EPOCHS = 8  # of a run that is to be caught half way


def write(root: Path, epochs: int = 2) -> Path:
    """Write the book into the folder, with the real images, and return the folder."""
    (root / "data").mkdir(parents=True)
    (root / "book.toml").write_text(BOOK.replace("epochs = 2", f"epochs = {epochs}"))
    (root / "data" / "fashion-mini.npz").symlink_to(files.repository_root() / "data" / "fashion-mini.npz")
    return root


def content(root: Path) -> dict[str, tuple]:
    """What every run of the profile computed, by name; reading it proves that the records are whole."""
    found = {plan.name: records.read(plan.record) for plan in plans.plans("tiny", root)}
    kept = {name: records.load_embeddings("tiny", name, root)[0].tolist() for name in NAMES if name.endswith("seed0")}
    return {name: (r["history"], r["metrics"], r["config"], kept.get(name)) for name, r in found.items()}


def start(root: Path, jobs: int, largest_file: int | None = None) -> subprocess.Popen:
    """The command itself, in a process group of its own as a shell would have it.

    largest_file: so many bytes, and no more, may it and its workers write into one file.
    """

    def prepare() -> None:
        # A shell that starts something in the background lets it ignore Ctrl-C, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [sys.executable, "-m", "contrastlab", "sweep", "--profile", "tiny", "--jobs", str(jobs)]
    return subprocess.Popen(
        command,
        cwd=root,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # as in joblib's workers
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=prepare,
    )


def under_way(root: Path) -> list[str]:
    """Names of the runs that have done an epoch, but have no record."""
    return [plan.name for plan in plans.plans("tiny", root) if plan.checkpoint.exists() and not plan.record.exists()]


def wait_until(happens: Callable[[], object], seconds: float = 300) -> object:
    """Return what it returns as soon as that is true; fail if it never is."""
    deadline = time.monotonic() + seconds
    while not (what := happens()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)
    return what


def workers(parent: int | None = None) -> list[int]:
    """Process ids of joblib's workers under a process, by default this one."""
    table = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    of = str(parent or os.getpid())
    return [int(pid) for pid, ppid, args in rows if ppid == of and "popen_loky" in args]
