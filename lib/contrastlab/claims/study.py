"""What is measured on one data set, by loss and temperature: recorded runs over seeds, or the paper's own table."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

import numpy as np
from torch import Tensor

from .. import paper, records
from ..plans import Plan, plans

IN_TABLE_1 = {"linear_accuracy": "accuracy", "uniformity": "uniformity", "tolerance": "tolerance"}


class NotAsked(LookupError):
    """No profile of this data set asks for such a run, so nothing is missing."""


class NotRecorded(LookupError):
    """A profile asks for the run and it is not recorded yet; the message says which command makes it."""


class Column(NamedTuple):
    """A loss, its temperature, and whatever else differs from the data set's usual training."""

    loss: str
    tau: float | None = None
    settings: Mapping[str, Any] = {}


class Measured(Protocol):
    """What a claim reads: the temperatures of the data set, tables of one metric over columns, and embeddings."""

    def taus(self, loss: str = "contrastive") -> list[float]:
        """The temperatures of a loss that the claims step through, rising."""

    def all_taus(self) -> list[float]:
        """Every temperature of the contrastive loss, rising."""

    def table(self, metric: str, columns: Sequence[Column]) -> np.ndarray:
        """One metric, (rows, columns). Raises NotAsked or NotRecorded for what is not there."""

    def best(self, rows: np.ndarray) -> np.ndarray:
        """The value of the best column in each row: (rows, columns) -> (rows,)."""

    def embeddings(self, column: Column) -> tuple[Tensor, Tensor]:
        """z (n, d) and labels (n,) of a run of the column. Raises NotAsked or NotRecorded where there are none."""


class Study:
    """The recorded runs of one data set. The first profile says what is usual: its temperatures, alpha and training."""

    def __init__(self, name: str, profiles: Sequence[str], book: Path, root: Path | None = None) -> None:
        """book: the folder of book.toml; root: the folder under which data/runs lies, by default the same."""
        self.name = name
        self.root = root or book
        self._elsewhere = root
        self.plans = [plan for profile in profiles for plan in plans(profile, book, self.root)]
        self._usual = [plan for plan in self.plans if plan.profile == profiles[0]]

    def taus(self, loss: str = "contrastive") -> list[float]:
        """The temperatures of a loss in the first profile, which the claims step through."""
        return sorted({p.config.tau for p in self._usual if p.config.loss == loss and p.config.tau is not None})

    def all_taus(self) -> list[float]:
        """Every temperature of the contrastive loss that has three seeds, or as many as any has if that is fewer."""
        planned = sorted({p.config.tau for p in self.plans if p.config.loss == "contrastive"})
        seeds = {tau: self._seeds(Column("contrastive", tau)) for tau in planned}
        enough = min(3, max(seeds.values(), default=0))
        return [tau for tau, count in seeds.items() if count >= enough] if enough else self.taus()

    @property
    def usual_rate(self) -> float:
        """The learning rate of the first profile."""
        return self._usual[0].config.lr

    def asks(self, column: Column) -> bool:
        """Whether a profile of this data set asks for the column."""
        try:
            return bool(self._plans_of(column))
        except NotAsked:
            return False

    def shares(self, loss: str, tau: float | None = None) -> list[float]:
        """The shares alpha of hard negatives, rising, with which a loss is trained and nothing else is changed."""
        alphas = {p.config.alpha for p in self.plans if (p.config.loss, p.config.tau) == (loss, tau)}
        return sorted(a for a in alphas if a is not None and self.asks(Column(loss, tau, {"alpha": a})))

    def every_run(self, *metrics: str) -> np.ndarray:
        """These metrics of every recorded run that has a value for each: (runs, metrics).

        Raises NotRecorded where there is no such run.
        """
        found = [[run[metric] for metric in metrics] for run in self._metrics.values()]
        whole = [values for values in found if None not in values]
        if not whole:
            first = self._usual[0].profile
            raise NotRecorded(f"no run of {self.name} is recorded. Make them: {self._sweep(first)}")
        return np.array(whole)

    def table(self, metric: str, columns: Sequence[Column]) -> np.ndarray:
        """One metric, (seeds, columns), over the seeds that every column has.

        Raises NotAsked or NotRecorded where a column has none.
        """
        for column in columns:
            self._plans_of(column)  # what nobody asks for goes before what is missing
        found = [self._values(metric, column) for column in columns]
        seeds = sorted(set.intersection(*(set(values) for values in found)))
        if not seeds:
            self._raise_no_seed(columns)
        return np.array([[values[seed] for values in found] for seed in seeds])

    def best(self, rows: np.ndarray) -> np.ndarray:
        """For each seed (row), its value in the column that the *other* seeds find best on average.

        Choosing by the same seed would turn luck into accuracy. A single seed has no others and gives its maximum.
        """
        if len(rows) == 1:
            return rows.max(axis=1)
        others = (rows.sum(axis=0) - rows) / (len(rows) - 1)
        return rows[np.arange(len(rows)), others.argmax(axis=1)]

    def embeddings(self, column: Column) -> tuple[Tensor, Tensor]:
        """z (n, d) and labels (n,) of the first run of the column that kept them. Raises NotAsked or NotRecorded."""
        kept = [plan for plan in self._plans_of(column) if plan.keeps_embeddings]
        if not kept:
            raise NotAsked(f"no profile of {self.name} keeps the embeddings of {_words(column)}")
        for plan in kept:
            if plan.embeddings.is_file():
                return records.load_embeddings(plan.profile, plan.name, self.root)
        raise self._not_recorded(column, kept[0])

    def _seeds(self, column: Column) -> int:
        try:
            return len(self._values("uniformity", column))
        except (NotAsked, NotRecorded):
            return 0

    def _raise_no_seed(self, columns: Sequence[Column]) -> NoReturn:
        what = f"no seed of {self.name} has all of {', '.join(map(_words, columns))}"
        unfinished = {p.profile: None for c in columns for p in self._plans_of(c) if p not in self._metrics}
        if not unfinished:
            raise NotAsked(what)
        raise NotRecorded(f"{what} yet. Go on with: {self._sweep(*unfinished)}")

    def _values(self, metric: str, column: Column) -> dict[int, float]:
        """The metric by seed; a run whose metric could not be measured is left out."""
        chosen = self._plans_of(column)
        found = {plan.config.seed: self._metrics[plan][metric] for plan in chosen if plan in self._metrics}
        found = {seed: value for seed, value in found.items() if value is not None}
        if not found:
            raise self._not_recorded(column, chosen[0])
        return found

    def _not_recorded(self, column: Column, plan: Plan) -> NotRecorded:
        return NotRecorded(f"{_words(column)} is not recorded. Make it: {self._sweep(plan.profile)}")

    def _sweep(self, *profiles: str) -> str:
        """The command that makes the records of the profiles where this study reads them."""
        where = ["--records", shlex.quote(str(self._elsewhere))] if self._elsewhere else []
        return " ".join(["contrastlab sweep --profile", *profiles, *where])

    def _plans_of(self, column: Column) -> list[Plan]:
        usual = [plan for plan in self._usual if plan.config.loss == column.loss] or self._usual[:1]
        wanted = asdict(usual[0].config) | {"loss": column.loss, "tau": column.tau} | column.settings
        del wanted["seed"]
        chosen = [p for p in self.plans if all(getattr(p.config, name) == value for name, value in wanted.items())]
        if not chosen:
            raise NotAsked(f"no profile of {self.name} asks for {_words(column)}")
        return chosen

    @cached_property
    def _metrics(self) -> dict[Plan, dict[str, float | None]]:
        """The metrics of every recorded run; a record of other settings or images than its plan's is none of it."""
        present = {plan: records.read(plan.record) for plan in self.plans if plan.record.is_file()}
        return {plan: record["metrics"] for plan, record in present.items() if plan.made(record)}


class OwnTable:
    """The paper's Table 1 in the place of recorded runs: a row a data set instead of a seed."""

    def __init__(self, book: Path | None = None) -> None:
        self._models = {(m.data, m.loss, m.tau): m for m in paper.table1(book)}

    def taus(self, loss: str = "contrastive") -> list[float]:
        """The temperatures of a loss in the table, rising."""
        return sorted({tau for _, known, tau in self._models if known == loss and tau is not None})

    def all_taus(self) -> list[float]:
        """Those of the contrastive loss: the table has no others."""
        return self.taus()

    def table(self, metric: str, columns: Sequence[Column]) -> np.ndarray:
        """One metric, (data sets, columns). Raises NotAsked for what the table lacks."""
        if metric not in IN_TABLE_1:
            raise NotAsked(f"Table 1 has no {metric}")
        absent = [
            column for column in columns if column.settings or (paper.DATA_SETS[0], *column[:2]) not in self._models
        ]
        if absent:
            raise NotAsked(f"Table 1 has no column {_words(absent[0])}")
        name = IN_TABLE_1[metric]
        return np.array([
            [getattr(self._models[data, column.loss, column.tau], name) for column in columns]
            for data in paper.DATA_SETS
        ])  # fmt: skip

    def best(self, rows: np.ndarray) -> np.ndarray:
        """The largest of each data set, as the paper prints it in bold."""
        return rows.max(axis=1)

    def embeddings(self, column: Column) -> tuple[Tensor, Tensor]:
        """Raises NotAsked: the paper prints none."""
        raise NotAsked(f"Table 1 has no embeddings of {_words(column)}")


def _words(column: Column) -> str:
    settings = ({"tau": column.tau} if column.tau is not None else {}) | dict(column.settings)
    return " ".join([column.loss.replace("_", " "), *(f"{name} {value:g}" for name, value in settings.items())])
