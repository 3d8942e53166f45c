"""One run of a sweep: trained, measured and recorded, by one process at a time."""

import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Literal

import torch
from filelock import FileLock, Timeout

from . import evaluate, records
from .files import ensure_writable
from .plans import Plan, as_json
from .train import Trained, pick_device, train

_AT_WORK = threading.Lock()  # held while a run is under way in this process
KEPT_EMBEDDINGS = 2000  # of a run that keeps them, those of so many test images


@dataclass(frozen=True)
class Outcome:
    """How a run ended here, and how many images it trained on, each counted once an epoch.

    end: "done"; "found", recorded already; "failed"; "elsewhere", another process is at it; "died", it and its process.
    """

    name: str
    end: Literal["done", "found", "failed", "elsewhere", "died"]
    text: str = ""
    images: int = 0


def attempt(plan: Plan, wait: bool = False, sweep: int | None = None) -> Outcome:
    """Do a run that has no record yet; what fails is told in the outcome, because it must not end other runs.

    Two processes never do the same run: the one that comes second returns at once or, with wait, once the first has
    ended. The operating system frees the lock of a process that dies, so none has ever to be removed.
    sweep: process id of the sweep. If that started this process, this one ends soon after the sweep has died: after the
    epoch that it is at, or at once between two runs.
    """
    parent = _parent(sweep)
    _end_without(parent)
    try:
        ensure_writable(plan.lock.parent)
        with _AT_WORK, FileLock(plan.lock, timeout=-1 if wait else 0):
            return Outcome(plan.name, "found", "recorded already") if plan.is_recorded() else _done(plan, parent)
    except Timeout:  # the lock's own
        return Outcome(plan.name, "elsewhere")
    except Exception as error:
        return Outcome(plan.name, "failed", f"{type(error).__name__}: {error}")


def _done(plan: Plan, parent: int | None) -> Outcome:
    epochs = []

    def after_epoch(epoch: int, _: Trained) -> None:
        epochs.append(epoch)
        _end_without(parent)

    record = do_run(plan, after_epoch)
    _end_without(parent)
    shown = ("linear_accuracy", "uniformity", "tolerance")
    numbers = ", ".join(f"{name.replace('_', ' ')} {record['metrics'][name]:.3g}" for name in shown)
    text = f"{record['seconds']['train']:.0f} s, {numbers}"
    return Outcome(plan.name, "done", text, len(epochs) * record["data"]["train"])


@cache
def _parent(sweep: int | None) -> int | None:
    """The sweep, if it started this process, which then does not outlive it; None elsewhere, as on a cluster.

    A sweep may have died before its process came here, which then has another parent; multiprocessing knows the first.
    """
    first = multiprocessing.parent_process()
    parents = {os.getppid()} | ({first.pid} if first else set())
    if sweep not in parents:
        return None
    threading.Thread(target=_end_idle_without, args=(sweep,), daemon=True).start()
    return sweep


def _end_idle_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    with _AT_WORK:  # a run under way ends at its next epoch, which is saved first
        os._exit(1)


def _end_without(parent: int | None) -> None:
    """End this process if its parent is gone: what it has done is saved, and nobody would stop it."""
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def do_run(plan: Plan, after_epoch: Callable[[int, Trained], None] | None = None) -> records.Record:
    """Train one encoder, measure it, and write its record; its checkpoint then goes. after_epoch: see train."""
    device = pick_device()
    if device.type == "cpu":
        torch.set_num_threads(1)  # two threads a run on a busy machine wait for each other
    train_images, test_images = plan.load("train"), plan.load("test")
    if plan.train_images is not None:
        train_images = train_images.subset(plan.train_images)
    trained = train(
        plan.config,
        train_images,
        device=device,
        checkpoint=plan.checkpoint,
        progress=False,
        after_epoch=after_epoch,
    )
    start = time.perf_counter()
    metrics = evaluate.metrics(trained, plan.config, train_images, test_images)
    seconds = {"train": round(trained.seconds, 1), "evaluate": round(time.perf_counter() - start, 1)}
    if plan.keeps_embeddings:
        _, z = evaluate.embed(trained, test_images.subset(min(len(test_images), KEPT_EMBEDDINGS)))
        records.write_embeddings(plan.embeddings, z, test_images.labels[: len(z)])
    record = {
        "profile": plan.profile,
        "data": {"name": plan.data, "train": len(train_images), "test": len(test_images)},
        "config": as_json(plan.config),
        "device": describe_device(device),
        "versions": {name: version(name) for name in ("contrastlab", "torch", "torchvision", "scikit-learn")},
        "seconds": seconds,
        "history": trained.history,
        "metrics": metrics,
    }
    records.write(plan.record, record)
    plan.checkpoint.unlink(missing_ok=True)  # else the run, if its record is lost, would end before it began
    return record


def describe_device(device: torch.device) -> str:
    """The device in words, for a record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
