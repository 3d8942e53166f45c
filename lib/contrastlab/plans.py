"""What a profile of book.toml asks for: its runs, their names, and where everything of them lies."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from . import data, manifest, profiles, records
from .config import Config
from .data import Images
from .files import repository_root
from .manifest import ManifestError


@dataclass(frozen=True)
class Plan:
    """One run of a profile: its config, the images it trains on, and where its record goes.

    counts: how many images there are for training and for testing, each None where the data is not there.
    book: the folder of book.toml and of data/. root: the folder under which records and checkpoints are kept.
    Both are absolute, so that a process that works elsewhere finds the same files.
    """

    profile: str
    name: str
    data: str
    config: Config
    train_images: int | None  # None for all
    counts: tuple[int | None, int | None]
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
        """Where the run keeps its state after each epoch, so that a killed sweep goes on, until it is recorded."""
        return self.root / "_build" / "checkpoints" / self.profile / f"{self.name}.safetensors"

    @property
    def lock(self) -> Path:
        """The file that the process which does this run has locked."""
        return self.checkpoint.with_suffix(".lock")

    def load(self, split: str) -> Images:
        """The images of a split, all of them. Raises what data.load raises."""
        name, folder = _source(self.data, self.book)
        return data.load(name, split, folder)

    def is_recorded(self) -> bool:
        """Whether the run has its record. A damaged one is set aside; raises ValueError for one of another run."""
        if not self.record.exists():
            return False
        record = records.read_or_set_aside(self.record)
        if record is not None and not self.made(record):
            raise ValueError(
                f"{self.record} was made with other settings or images than the profile {self.profile!r} now has. "
                f"Move it away to do the run again, and {self.checkpoint} too if it is there; or give the changed "
                "profile a name of its own."
            )
        return record is not None

    def made(self, record: records.Record) -> bool:
        """Whether the record is of this run: the same config on the same images, as far as these can be counted."""
        images = record["data"]
        train, test = self.counts
        wanted = {"name": self.data, "train": self.train_images or train, "test": test}
        same_images = all(images.get(key) == value for key, value in wanted.items() if value is not None)
        return same_images and record["config"] == as_json(self.config)


def plans(profile: str, book: Path | None = None, root: Path | None = None) -> list[Plan]:
    """Every run of a profile of book.toml. Raises ValueError for an unknown profile or setting, or a malformed one.

    book: the folder of book.toml, by default the one around the working folder. root: see Plan; by default the same.
    """
    book = Path(book or repository_root()).resolve()
    settings = manifest.load(book).profile(profile)
    profiles.check(profile, settings)
    configs = dict(_configs(profile, settings))
    counts = _counts(settings["data"], book)
    return [
        Plan(
            profile=profile,
            name=name,
            data=settings["data"],
            config=config,
            train_images=settings.get("train_images"),
            counts=counts,
            keeps_embeddings=config.seed in settings.get("embeddings", ()),
            book=book,
            root=Path(root or book).expanduser().resolve(),
        )
        for name, config in configs.items()
    ]


def as_json(config: Config) -> dict[str, Any]:
    """The config as it stands in a record."""
    return asdict(config) | {"milestones": list(config.milestones)}


def _source(name: str, book: Path) -> tuple[str | Path, Path | None]:
    """Name and folder with which data.load finds the data of a profile, wherever the process works."""
    if name == data.EMBEDDED:
        return name, book / "data"
    if name in data.NAMES:
        return name, book / "data" / "downloads"
    return book / Path(name).expanduser(), None


def _counts(name: str, book: Path) -> tuple[int | None, int | None]:
    source, _ = _source(name, book)
    return data.count(source, "train"), data.count(source, "test")


def _configs(profile: str, settings: Mapping[str, Any]) -> Iterator[tuple[str, Config]]:
    """Name and config of every run, seed by seed: an unfinished sweep then holds all columns of the first seeds."""
    seen = set()
    for seed, column in product(settings["seeds"], settings["columns"]):
        column = dict(column)
        for tau in column.pop("tau", [None]):
            name = _name(column, tau, seed)
            if name in seen:
                raise ManifestError(f"book.toml: [profiles.{profile}] asks twice for the run {name}. Take one out.")
            seen.add(name)
            yield name, Config(**settings.get("train", {}) | column, tau=tau, seed=seed)


def _name(column: dict[str, Any], tau: float | None, seed: int) -> str:
    """A run's name: its loss, its temperature, whatever else its column sets, its seed."""
    settings = {"loss": column["loss"], "tau": tau} | column
    parts = [
        value.replace("_", "-") if isinstance(value, str) else f"{key}{value:g}"
        for key, value in settings.items()
        if value is not None
    ]
    return "-".join([*parts, f"seed{seed}"])
