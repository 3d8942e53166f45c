"""Records of runs: one small JSON file a run, under data/runs/PROFILE/."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .files import repository_root, set_aside, write_atomically

Record = dict[str, Any]
KEYS = ("config", "data", "device", "history", "metrics", "profile", "seconds", "versions")


class DamagedRecord(RuntimeError):
    """A record that cannot be read; the message names the file."""


def folder(profile: str, root: Path | None = None) -> Path:
    """Where the records of a profile lie."""
    return (root or repository_root()) / "data" / "runs" / profile


def write(path: Path, record: Record) -> None:
    """Write a record, whole or not at all. Raises FileExistsError rather than replace a finished run."""
    if path.exists():
        raise FileExistsError(f"{path} holds a finished run already; move it away to record another one")
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())


def read(path: Path) -> Record:
    """Read one record. Raises DamagedRecord where it is no whole record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in KEYS if key not in record]
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError) as error:
        raise DamagedRecord(f"{path} is no whole record: {error}") from error
    if missing:
        raise DamagedRecord(f"{path} is no whole record: it lacks {', '.join(missing)}")
    return record


def read_or_set_aside(path: Path) -> Record | None:
    """Read a record; a damaged one is renamed, reported, and counts as absent (None)."""
    try:
        return read(path)
    except DamagedRecord as error:
        print(f"{error}. It was set aside as {set_aside(path).name}; the run will be done again.")
        return None


def load(profile: str, root: Path | None = None) -> list[Record]:
    """All records of a profile, in the order of their file names.

    Raises FileNotFoundError where there is none, and DamagedRecord for one that cannot be read.
    """
    paths = sorted(folder(profile, root).glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"no records of the profile {profile!r} under data/runs. Make them: contrastlab sweep --profile {profile}"
        )
    return [read(path) for path in paths]


def table(records: Sequence[Record], metric: str, loss: str = "contrastive") -> tuple[list[float], np.ndarray]:
    """One metric of one loss against temperature: the temperatures (T,) and the values (seeds, T).

    Raises ValueError where a temperature lacks a seed that another one has, or the metric was not recorded.
    """
    chosen = [record for record in records if record["config"]["loss"] == loss]
    if not chosen:
        raise ValueError(f"these records hold no run of the loss {loss!r}")
    if metric not in chosen[0]["metrics"]:
        raise ValueError(f"unknown metric {metric!r}; recorded are {', '.join(sorted(chosen[0]['metrics']))}")
    values = {(record["config"]["seed"], record["config"]["tau"]): record["metrics"][metric] for record in chosen}
    seeds = sorted({seed for seed, _ in values})
    taus = sorted({tau for _, tau in values}, key=lambda tau: (tau is None, tau))
    absent = [(seed, tau) for seed in seeds for tau in taus if (seed, tau) not in values]
    if absent:
        raise ValueError(f"the sweep is not finished: no run for (seed, tau) = {absent}")
    return taus, np.array([[values[seed, tau] for tau in taus] for seed in seeds])
