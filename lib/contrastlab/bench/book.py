"""What the book itself costs: the sweep of a profile, and each chapter's run."""

import os
from dataclasses import replace
from pathlib import Path

from .. import evaluate, records
from ..manifest import Manifest
from ..plans import plans
from . import step
from .measure import SECONDS, Row, with_workers

PROFILE = "laptop"
QUICK_IMAGES = 1024
MINUTES, IMAGE_RATE = "minutes", "images/s a core"


def sweep(book: Manifest, quick: bool) -> list[Row]:
    """The profile's training rate and minutes on all cores, from one run's second epoch and its evaluation.

    The records' own seconds stand beside it: wall time on the machine that made them, with whatever else it did.
    """
    todo = plans(PROFILE, book.root)
    plan = todo[0]
    train, test = plan.load("train"), plan.load("test")
    if quick:
        train, test = train.subset(QUICK_IMAGES), test.subset(QUICK_IMAGES)
    trained, epochs = step.epochs(replace(plan.config, epochs=2), train)
    start = with_workers()
    evaluate.metrics(trained, plan.config, train, test)
    evaluation = with_workers() - start
    image = epochs[-1] / len(train)
    cores = os.cpu_count() or 1
    images = [plan.config.epochs * (plan.train_images or len(train)) for plan in todo]
    minutes = (sum(images) * image + len(todo) * evaluation) / cores / 60
    setting = f"profile {PROFILE}, {len(todo)} runs"
    rows = [
        Row("sweep", setting, "training", 1 / image, IMAGE_RATE),
        Row("sweep", setting, "evaluation of a run", evaluation, SECONDS),
        Row("sweep", setting, f"projected from these, {cores} cores", minutes, MINUTES),
    ]
    recorded = [records.read(path)["seconds"] for path in records.folder(PROFILE, book.root).glob("*.json")]
    if recorded:
        wall = sum(sum(seconds.values()) for seconds in recorded) / len(recorded)
        rows.append(Row("sweep", setting, f"a run, by {len(recorded)} records", wall, SECONDS))
    return rows


def notebooks(book: Manifest, folder: Path) -> list[Row]:
    """CPU seconds of each chapter from the start of its kernel to its end, all threads and processes of it."""
    from .. import notebooks

    rows = []
    for source in book.sources(book.chapters):
        start = with_workers()
        notebooks.execute([source], folder / "chapters", report=lambda text: None)
        rows.append(Row("notebooks", source.stem, "run", with_workers() - start, SECONDS))
    return rows
