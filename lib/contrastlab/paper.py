"""The paper's Table 1 as data: linear accuracy, uniformity and tolerance of ten losses on four data sets."""

import csv
from dataclasses import dataclass
from pathlib import Path

from .files import repository_root

DATA_SETS = ("CIFAR10", "CIFAR100", "SVHN", "ImageNet100")
CLASSES = {"CIFAR10": 10, "CIFAR100": 100, "SVHN": 10, "ImageNet100": 100}


@dataclass(frozen=True)
class Model:
    """One column of Table 1 on one data set. tau is None for the simple losses, which have none."""

    data: str
    loss: str
    tau: float | None
    accuracy: float  # per cent, linear classifier
    uniformity: float
    tolerance: float


def table1(root: Path | None = None) -> list[Model]:
    """The forty models of Table 1, data set by data set, each with its ten losses in the order of the table.

    Read from data/paper-table1.csv under root, by default the repository. Raises ValueError, naming the line, for a
    file that is not that table.
    """
    path = (root or repository_root()) / "data" / "paper-table1.csv"
    with open(path, encoding="utf-8", newline="") as file:
        models = [_model(row, f"{path}, line {number}") for number, row in enumerate(csv.DictReader(file), start=2)]
    if len(models) != 40:
        raise ValueError(f"{path} holds {len(models)} models, expected the 40 of Table 1. Restore the file.")
    return models


def _model(row: dict[str, str], where: str) -> Model:
    try:
        tau = float(row["tau"]) if row["tau"] else None
        numbers = [float(row[name]) for name in ("accuracy", "uniformity", "tolerance")]
        return Model(row["dataset"], row["loss"], tau, *numbers)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where} is no line of Table 1: {error}. Restore the file.") from error
