"""What the book itself costs: the sweep of a profile, and each chapter's run."""

import time
from dataclasses import replace
from pathlib import Path

from .. import evaluate, records
from ..manifest import Manifest
from ..plans import plans
from ..sweep import default_jobs
from . import step
from .measure import SECONDS, Row, with_workers

PROFILE = "laptop"
QUICK_IMAGES = 1024
MINUTES, IMAGE_RATE, IMAGE_RATE_OF_ALL = "minutes", "images/s a core", "images/s"
PROJECTION = "whole profile, projected"


def sweep(book: Manifest, quick: bool) -> list[Row]:
    """The profile's training rates and minutes on all cores, from one run's second epoch a loss, and an evaluation.

    quick: of fewer images, and scaled up to all of them. The records' own seconds stand beside it: wall time on the
    machine that made them, with whatever else it did.
    """
    todo = plans(PROFILE, book.root)
    train, test = todo[0].load("train"), todo[0].load("test")
    of_all = len(train)
    if quick:
        train, test = train.subset(QUICK_IMAGES), test.subset(QUICK_IMAGES)
    rates = {}
    for config in {plan.config.loss: plan.config for plan in todo}.values():
        trained, epochs = step.epochs(replace(config, epochs=2), train)
        rates[config.loss] = len(train) / epochs[-1]
    start = with_workers()
    evaluate.metrics(trained, config, train, test)
    evaluation = (with_workers() - start) * of_all / len(train)
    cores = default_jobs()
    images = [plan.config.epochs * (plan.train_images or of_all) for plan in todo]
    training = sum(n / rates[plan.config.loss] for n, plan in zip(images, todo, strict=True))
    seconds = (training + len(todo) * evaluation) / cores
    setting = f"profile {PROFILE}, {len(todo)} runs, {cores} cores"
    rows = [Row("sweep", setting, f"training, {loss}", rate, IMAGE_RATE) for loss, rate in rates.items()]
    rows += [
        Row("sweep", setting, "evaluation of a run", evaluation, SECONDS),
        Row("sweep", setting, "whole profile, with evaluations", sum(images) / seconds, IMAGE_RATE_OF_ALL),
        Row("sweep", setting, PROJECTION, seconds / 60, MINUTES),
    ]
    recorded = [records.read(path)["seconds"] for path in records.folder(PROFILE, book.root).glob("*.json")]
    if recorded:
        wall = sum(sum(each.values()) for each in recorded) / len(recorded)
        rows.append(Row("sweep", setting, f"a run, by {len(recorded)} records, wall clock", wall, SECONDS))
    return rows


def notebooks(book: Manifest, folder: Path) -> list[Row]:
    """Seconds of each chapter from its kernel's start to its end: CPU of all its threads and processes, and wall."""
    from .. import notebooks

    rows = []
    for source in book.sources(book.chapters):
        cpu, wall = with_workers(), time.perf_counter()
        notebooks.execute([source], folder / "chapters", report=lambda text: None)
        rows.append(Row("notebooks", source.stem, "run", with_workers() - cpu, SECONDS))
        rows.append(Row("notebooks", source.stem, "run, wall clock", time.perf_counter() - wall, SECONDS))
    return rows
