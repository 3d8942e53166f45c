"""Sweeps: the same training over losses, temperatures and seeds, one record a run."""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import torch
from joblib import Parallel, delayed
from tqdm.std import tqdm

from . import data, evaluate, manifest, records
from .files import ensure_writable, repository_root
from .names import one_of
from .train import Config, pick_device, train


@dataclass(frozen=True)
class Plan:
    """One run of a profile: its config, the images it trains on, and where its record goes."""

    profile: str
    data: str
    config: Config
    train_images: int | None  # None for all
    root: Path

    @property
    def name(self) -> str:
        """The run's name: loss, temperature, what is hard, seed."""
        c = self.config
        parts = [c.loss.replace("_", "-")]
        parts += [f"{key}{value:g}" for key in ("tau", "alpha", "k") if (value := getattr(c, key)) is not None]
        return "-".join([*parts, f"seed{c.seed}"])

    @property
    def record(self) -> Path:
        """Where the record of this run lies once it is finished."""
        return records.folder(self.profile, self.root) / f"{self.name}.json"

    @property
    def checkpoint(self) -> Path:
        """Where the run keeps its state after each epoch, so that a killed sweep goes on."""
        return self.root / "_build" / "checkpoints" / self.profile / f"{self.name}.safetensors"


def plans(profile: str, root: Path | None = None) -> list[Plan]:
    """Every run of a profile of book.toml. Raises ValueError for an unknown profile or setting."""
    root = root or repository_root()
    settings = manifest.load(root).profile(profile)
    train_images = settings.get("train_images")
    return [Plan(profile, settings["data"], config, train_images, root) for config in _configs(settings)]


def _configs(settings: dict[str, Any]) -> Iterator[Config]:
    for column, seed in product(settings["columns"], settings["seeds"]):
        column = dict(column)
        taus = column.pop("tau", [None])
        for tau in taus:
            options = settings.get("train", {}) | column
            for key in options:
                one_of(key, Config.__dataclass_fields__, "training setting")
            yield Config(**options, tau=tau, seed=seed)


def run_sweep(profile: str, root: Path | None = None, jobs: int | None = None) -> list[Path]:
    """Do every run of the profile that has no record yet, and return the paths of all its records.

    One single-threaded process a core, or one run at a time on a GPU. A finished run is skipped; a killed run goes on
    from its last epoch. Raises RuntimeError, after all others are done, for runs that failed.
    """
    todo = plans(profile, root)
    ensure_writable(todo[0].record.parent)
    left = [plan for plan in todo if not _finished(plan)]
    # The data is fetched once, before many processes could ask for it at the same time.
    for split in ("train", "test") if left else ():
        data.load(todo[0].data, split)
    jobs = jobs or (max(1, os.cpu_count() or 1) if pick_device().type == "cpu" else 1)
    results = Parallel(n_jobs=jobs, return_as="generator_unordered")(delayed(_guarded)(plan) for plan in left)
    failed = []
    with tqdm(total=len(todo), initial=len(todo) - len(left), unit="run", desc=profile) as bar:
        for name, outcome, error in results:
            bar.write(f"{name}: {outcome}")
            bar.update()
            failed += [f"{name}: {outcome}"] if error else []
    if failed:
        raise RuntimeError("these runs failed, the others are recorded:\n" + "\n".join(failed))
    return [plan.record for plan in todo]


def _finished(plan: Plan) -> bool:
    if not plan.record.exists():
        return False
    record = records.read_or_set_aside(plan.record)
    if record is not None and not _is_of(plan, record):
        raise ValueError(
            f"{plan.record} was made with other settings than the profile {plan.profile!r} now has. Move it away to do "
            "the run again, or give the changed profile a name of its own."
        )
    return record is not None


def _is_of(plan: Plan, record: records.Record) -> bool:
    images = record["data"]
    same_images = images["name"] == plan.data and plan.train_images in (None, images["train"])
    return same_images and record["config"] == as_json(plan.config)


def _guarded(plan: Plan) -> tuple[str, str, bool]:
    try:
        record = do_run(plan)
    except Exception as error:  # one failed run must not end the others
        return plan.name, f"{type(error).__name__}: {error}", True
    shown = ("linear_accuracy", "uniformity", "tolerance")
    numbers = ", ".join(f"{name.replace('_', ' ')} {record['metrics'][name]:.3g}" for name in shown)
    return plan.name, f"{record['seconds']['train']:.0f} s, {numbers}", False


def do_run(plan: Plan) -> records.Record:
    """Train one encoder, measure it, and write its record."""
    device = pick_device()
    if device.type == "cpu":
        torch.set_num_threads(1)  # two threads a run on a busy machine wait for each other
    train_images, test_images = data.load(plan.data, "train"), data.load(plan.data, "test")
    if plan.train_images is not None:
        train_images = train_images.subset(plan.train_images)
    start = time.perf_counter()
    trained = train(plan.config, train_images, device=device, checkpoint=plan.checkpoint, progress=False)
    middle = time.perf_counter()
    metrics = evaluate.metrics(trained, train_images, test_images)
    end = time.perf_counter()
    record = {
        "profile": plan.profile,
        "data": {"name": plan.data, "train": len(train_images), "test": len(test_images)},
        "config": as_json(plan.config),
        "device": describe_device(device),
        "versions": {name: version(name) for name in ("contrastlab", "torch", "torchvision", "scikit-learn")},
        "seconds": {"train": round(middle - start, 1), "evaluate": round(end - middle, 1)},
        "history": trained.history,
        "metrics": metrics,
    }
    records.write(plan.record, record)
    return record


def describe_device(device: torch.device) -> str:
    """The device in words, for a record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"


def as_json(config: Config) -> dict[str, Any]:
    """The config as it stands in a record."""
    return asdict(config) | {"milestones": list(config.milestones)}
