"""What a profile of book.toml asks for: its runs, their names, and where everything of them lies."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from . import data, manifest, records
from .data import Images
from .files import repository_root
from .names import one_of
from .train import Config


@dataclass(frozen=True)
class Plan:
    """One run of a profile: its config, the images it trains on, and where its record goes.

    book: the folder of book.toml and of data/. root: the folder under which records and checkpoints are kept.
    Both are absolute, so that a process that works elsewhere finds the same files.
    """

    profile: str
    name: str
    data: str
    config: Config
    train_images: int | None  # None for all
    keeps_embeddings: bool
    book: Path
    root: Path

    @property
    def record(self) -> Path:
        """Where the record of this run lies once it is finished."""
        return records.folder(self.profile, self.root) / f"{self.name}.json"

    @property
    def embeddings(self) -> Path:
        """Where the test images' embeddings of this run lie, if it keeps them."""
        return records.folder(self.profile, self.root) / "embeddings" / f"{self.name}.npz"

    @property
    def checkpoint(self) -> Path:
        """Where the run keeps its state after each epoch, so that a killed sweep goes on."""
        return self.root / "_build" / "checkpoints" / self.profile / f"{self.name}.safetensors"

    @property
    def lock(self) -> Path:
        """The file that the process which does this run has locked."""
        return self.checkpoint.with_suffix(".lock")

    def load(self, split: str) -> Images:
        """The images of a split, all of them. Raises what data.load raises."""
        if self.data == data.EMBEDDED:
            return data.load(self.data, split, self.book / "data")
        if self.data in data.NAMES:
            return data.load(self.data, split, self.book / "data" / "downloads")
        return data.load(self.book / Path(self.data).expanduser(), split)

    def is_recorded(self) -> bool:
        """Whether the run has its record. A damaged one is set aside; raises ValueError for one of other settings."""
        if not self.record.exists():
            return False
        record = records.read_or_set_aside(self.record)
        if record is not None and not self._made(record):
            raise ValueError(
                f"{self.record} was made with other settings than the profile {self.profile!r} now has. Move it away "
                "to do the run again, or give the changed profile a name of its own."
            )
        return record is not None

    def _made(self, record: records.Record) -> bool:
        images = record["data"]
        same_images = images["name"] == self.data and self.train_images in (None, images["train"])
        return same_images and record["config"] == as_json(self.config)


def plans(profile: str, book: Path | None = None, root: Path | None = None) -> list[Plan]:
    """Every run of a profile of book.toml. Raises ValueError for an unknown profile or setting.

    book: the folder of book.toml, by default the one around the working folder. root: see Plan; by default the same.
    """
    book = Path(book or repository_root()).resolve()
    settings = manifest.load(book).profile(profile)
    return [
        Plan(
            profile=profile,
            name=name,
            data=settings["data"],
            config=config,
            train_images=settings.get("train_images"),
            keeps_embeddings=config.seed in settings.get("embeddings", ()),
            book=book,
            root=Path(root or book).expanduser().resolve(),
        )
        for name, config in _configs(settings)
    ]


def as_json(config: Config) -> dict[str, Any]:
    """The config as it stands in a record."""
    return asdict(config) | {"milestones": list(config.milestones)}


def _configs(settings: dict[str, Any]) -> Iterator[tuple[str, Config]]:
    """Name and config of every run, seed by seed: an unfinished sweep then holds all columns of the first seeds."""
    for seed, column in product(settings["seeds"], settings["columns"]):
        column = dict(column)
        for tau in column.pop("tau", [None]):
            options = settings.get("train", {}) | column
            for key in options:
                one_of(key, Config.__dataclass_fields__, "training setting")
            yield _name(column, tau, seed), Config(**options, tau=tau, seed=seed)


def _name(column: dict[str, Any], tau: float | None, seed: int) -> str:
    """A run's name: its loss, its temperature, whatever else its column sets, its seed."""
    settings = {"loss": column["loss"], "tau": tau} | column
    parts = [
        value.replace("_", "-") if isinstance(value, str) else f"{key}{value:g}"
        for key, value in settings.items()
        if value is not None
    ]
    return "-".join([*parts, f"seed{seed}"])
