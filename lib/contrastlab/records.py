"""Records of runs: one small JSON file a run, under data/runs/PROFILE/, and the embeddings that some runs keep."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .files import repository_root, set_aside, write_atomically

Record = dict[str, Any]
KEYS = ("config", "data", "device", "history", "metrics", "profile", "seconds", "versions")


class DamagedRecord(RuntimeError):
    """A record that cannot be read; the message names the file and says how to get the run again."""


def folder(profile: str, root: Path | None = None) -> Path:
    """Where the records of a profile lie: under data/runs/ of the root, which is the book's own folder by default.

    The option --records of a command names another root.
    """
    return Path(root or repository_root()).expanduser() / "data" / "runs" / profile


def write(path: Path, record: Record) -> None:
    """Write a record, whole or not at all.

    Raises FileExistsError rather than replace a finished run, and ValueError for a number that is NaN or infinite: a
    metric without a value is None.
    """
    if path.exists():
        raise FileExistsError(f"{path} holds a finished run already; move it away to record another one")
    write_atomically(path, (json.dumps(record, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read(path: Path) -> Record:
    """Read one record. Raises DamagedRecord where it is no whole record."""
    try:
        return _read(path)
    except ValueError as error:
        raise DamagedRecord(
            f"{error}. A sweep sets it aside and does the run again: contrastlab sweep --profile {path.parent.name}"
        ) from error


def read_or_set_aside(path: Path) -> Record | None:
    """Read a record; a damaged one is renamed, reported, and counts as absent (None)."""
    try:
        return _read(path)
    except ValueError as error:
        print(f"{error}. It was set aside as {set_aside(path).name}; the run will be done again.")
        return None


def _read(path: Path) -> Record:
    """The record. Raises ValueError, with the reason alone, where it is no whole one."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        missing = [key for key in KEYS if key not in record]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is no whole record: {error}") from error
    if missing:
        raise ValueError(f"{path} is no whole record: it lacks {', '.join(missing)}")
    return record


def load(*profiles: str, root: Path | None = None) -> list[Record]:
    """All records of the profiles, in the order of their file names.

    Raises FileNotFoundError where a profile has none, and DamagedRecord for one that cannot be read.
    """
    found = []
    for profile in profiles:
        paths = sorted(folder(profile, root).glob("*.json"))
        if not paths:
            raise FileNotFoundError(
                f"no records of the profile {profile!r} in {folder(profile, root)}. "
                f"Make them: contrastlab sweep --profile {profile}{f' --records {root}' if root else ''}"
            )
        found += [read(path) for path in paths]
    return found


def write_embeddings(path: Path, z: Tensor, labels: Tensor) -> None:
    """Write unit embeddings z (n, d), rounded to float16, and their labels (n,) >= 0 as one .npz, whole or not at all.

    Labels take the smallest type that holds them all: a byte each for up to 256 classes.
    """
    content, kind = io.BytesIO(), np.min_scalar_type(labels.max().item())
    np.savez_compressed(content, z=z.half().numpy(), labels=labels.numpy().astype(kind))
    write_atomically(path, content.getvalue())


def load_embeddings(profile: str, name: str, root: Path | None = None) -> tuple[Tensor, Tensor]:
    """The kept embeddings of a run: z (n, d) float32 of length 1 to three digits, and labels (n,) int64.

    Raises FileNotFoundError, naming those that were kept, where the run kept none.
    """
    kept = folder(profile, root) / "embeddings"
    path = kept / f"{name}.npz"
    if not path.is_file():
        names = ", ".join(sorted(other.stem for other in kept.glob("*.npz"))) or "none"
        raise FileNotFoundError(f"no embeddings {path}. Kept are: {names}")
    with np.load(path, allow_pickle=False) as arrays:
        return torch.from_numpy(arrays["z"]).float(), torch.from_numpy(arrays["labels"].astype(np.int64))


def table(records: Sequence[Record], metric: str, loss: str = "contrastive") -> tuple[list[float], np.ndarray]:
    """One metric of one loss against temperature: the temperatures (T,) and the values (seeds, T).

    A value is NaN where the run's record says that the metric has none.
    Raises ValueError where a temperature lacks a seed that another one has, several runs share a seed and a temperature
    and differ in something else, or the metric was not recorded.
    """
    chosen = [record for record in records if record["config"]["loss"] == loss]
    if not chosen:
        raise ValueError(f"these records hold no run of the loss {loss!r}")
    if metric not in chosen[0]["metrics"]:
        raise ValueError(f"unknown metric {metric!r}; recorded are {', '.join(sorted(chosen[0]['metrics']))}")
    values: dict[tuple[int, float | None], float | None] = {}
    for record in chosen:
        key = record["config"]["seed"], record["config"]["tau"]
        if key in values:
            raise ValueError(_several(key, [r for r in chosen if (r["config"]["seed"], r["config"]["tau"]) == key]))
        values[key] = record["metrics"][metric]
    seeds = sorted({seed for seed, _ in values})
    taus = sorted({tau for _, tau in values}, key=lambda tau: (tau is None, tau))
    absent = [(seed, tau) for seed in seeds for tau in taus if (seed, tau) not in values]
    if absent:
        raise ValueError(f"the sweep is not finished: no run for (seed, tau) = {absent}")
    return taus, np.array([[values[seed, tau] for tau in taus] for seed in seeds], dtype=float)  # None becomes NaN


def _several(key: tuple[int, float | None], alike: Sequence[Record]) -> str:
    """What to tell of runs that share a seed and a temperature."""
    settings = [{"data": record["data"]} | record["config"] for record in alike]
    differing = [name for name in settings[0] if any(one[name] != settings[0][name] for one in settings)]
    if not differing:
        return f"the run with (seed, tau) = {key} is there {len(alike)} times. Load each profile once."
    return (
        f"{len(alike)} runs have (seed, tau) = {key} and differ in {', '.join(differing)}. Choose records that agree "
        "in that first: [record for record in records if ...]"
    )
