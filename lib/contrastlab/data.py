"""Image data sets as one uint8 tensor: the embedded one, torchvision's by name, a folder by path."""

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision import datasets

from .files import ensure_writable, repository_root
from .folders import SPLITS, check_is_folder, list_folder, read_folder
from .names import one_of
from .packed import is_packed, read_packed

EMBEDDED = "fashion-mini"
EMBEDDED_SHA256 = "cff944201bbca50921be649d13cc749c0f9f52e1a544b8cc7b4f906df8ceb90c"


@dataclass(frozen=True, eq=False)
class Images:
    """A data set.

    images: (n, C, H, W) uint8; labels: (n,) int64, positions in classes.
    mapped: whether the images are a file on the disk, of which memory holds only what is in use.
    Raises ValueError where shapes or types differ from that.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    name: str
    mapped: bool = False

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                "expected images of shape (n, C, H, W) and type torch.uint8, "
                f"got {tuple(self.images.shape)} and {self.images.dtype}."
            )
        if self.labels.shape != (len(self.images),) or self.labels.dtype != torch.int64:
            raise ValueError(
                f"expected a torch.int64 label for each of {len(self.images)} images, "
                f"got labels of shape {tuple(self.labels.shape)} and {self.labels.dtype}."
            )

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Images":
        """The same data set with its tensors on the device; mapped images are read whole, unless they are there."""
        images = self.images.to(device)
        still_mapped = self.mapped and images is self.images
        return replace(self, images=images, labels=self.labels.to(device), mapped=still_mapped)

    def for_training_on(self, device: torch.device | str) -> "Images":
        """The same data set on the device if memory holds it. Mapped images stay mapped: `pixels` moves each batch."""
        return self if self.mapped else self.to(device)

    def pixels(self, index: Tensor, device: torch.device | str) -> Tensor:
        """The images number index (B,), wherever it is, on the device: (B, C, H, W). Nothing but these is moved."""
        return self.images[index.to(self.images.device)].to(device)

    def subset(self, n: int) -> "Images":
        """The first n images; of fashion-mini they hold every class equally often, give or take one.

        Raises ValueError unless n is from 1 to len.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"{self.name} holds {len(self)} images, so n must be from 1 to {len(self)}, got {n}.")
        return replace(self, images=self.images[:n], labels=self.labels[:n])


def load(name: str | Path, split: str = "train", folder: str | Path | None = None, size: int | None = None) -> Images:
    """Load a data set: fashion-mini, fashion-mnist, cifar10, cifar100 or svhn by name, or a folder by path.

    A folder holds images, which are decoded into memory, or is one that `contrastlab pack` made of them, which stays on
    the disk: its images are mapped, and a batch reads only its own.

    split: "train" or "test". folder: where the files of a named data set are, by default data/ of the book for the
    embedded fashion-mini and data/downloads/ for the others, which torchvision downloads if they are missing.
    size: for a folder of images only, see read_folder.
    Raises ValueError (unknown name or split, damaged file), FileNotFoundError (missing file or folder),
    ConnectionError (failed download), PermissionError (download folder that cannot be written to).
    """
    one_of(split, SPLITS, "split")
    if name not in NAMES:
        path = Path(name).expanduser()
        _check_is_known(path, name)
        if is_packed(path):
            if size is not None:
                raise ValueError(
                    f"{path} was packed at its size. Leave size out, or pack the images again with --size."
                )
            return Images(*read_packed(path, split), mapped=True)
        return Images(*read_folder(path, split, size), path.resolve().name)
    if size is not None:
        raise ValueError(f"size is for a folder of images, but {name} has its own. Leave size out.")
    if name == EMBEDDED:
        return _read_embedded(split, Path(folder or repository_root() / "data").expanduser())
    return _read_or_download(name, split, Path(folder or repository_root() / "data/downloads").expanduser())


def count(name: str | Path, split: str = "train") -> int | None:
    """How many images `load` finds in a split, without a look at their pixels.

    None where no folder of that path can be read, which `load` then explains. Raises ValueError for an unknown split.
    """
    one_of(split, SPLITS, "split")
    if name in NAMES:
        return SIZES[name][SPLITS.index(split)]
    path = Path(name).expanduser()
    try:
        return len((read_packed(path, split) if is_packed(path) else list_folder(path, split))[1])
    except (OSError, ValueError):
        return None


def _check_is_known(path: Path, name: str | Path) -> None:
    if path.name == name and not path.is_dir():
        one_of(name, NAMES, "data set or folder")
    check_is_folder(path, NAMES)


def _read_embedded(split: str, folder: Path) -> Images:
    path = folder / f"{EMBEDDED}.npz"
    remedy = f"Get the original back with: git checkout -- data/{path.name}"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {remedy}")
    content = path.read_bytes()
    checksum = hashlib.sha256(content).hexdigest()
    if checksum != EMBEDDED_SHA256:
        raise ValueError(
            f"{path} is damaged or was changed: {len(content)} bytes with SHA-256 {checksum[:12]}..., "
            f"expected {EMBEDDED_SHA256[:12]}... It was left as it is. {remedy}"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        images = torch.from_numpy(arrays[f"{split}_images"])[:, None]  # (n, H, W) -> (n, 1, H, W)
        labels = torch.from_numpy(arrays[f"{split}_labels"]).long()
        return Images(images, labels, tuple(arrays["classes"].tolist()), EMBEDDED)


def _fashion_mnist(split: str, folder: Path, download: bool) -> Images:
    raw = folder / "FashionMNIST" / "raw"
    try:
        source = datasets.FashionMNIST(folder, train=split == "train", download=download)
    except (AssertionError, LookupError, RuntimeError, TypeError, ValueError) as error:
        # torchvision checks the packed files that it downloads, but not the unpacked ones that it reads.
        if not all((raw / Path(file).stem).is_file() for file, _ in datasets.FashionMNIST.resources):
            raise
        raise ValueError(
            f"the {split} files of fashion-mnist in {raw} are damaged or cut short. "
            "Delete the unpacked files there (those without .gz) and load again."
        ) from error
    images = source.data[:, None]  # (n, H, W) -> (n, 1, H, W)
    return Images(images, source.targets, tuple(source.classes), "fashion-mnist")


def _cifar(reader: type[datasets.CIFAR10], name: str, split: str, folder: Path, download: bool) -> Images:
    source = reader(folder, train=split == "train", download=download)
    images = torch.from_numpy(source.data).permute(0, 3, 1, 2)  # (n, H, W, C) -> (n, C, H, W)
    return Images(images, torch.tensor(source.targets), tuple(source.classes), name)


def _svhn(split: str, folder: Path, download: bool) -> Images:
    source = datasets.SVHN(folder, split=split, download=download)
    images = torch.from_numpy(np.ascontiguousarray(source.data))
    return Images(images, torch.from_numpy(source.labels), tuple("0123456789"), "svhn")


class _Download(NamedTuple):
    read: Callable[[str, Path, bool], Images]
    files: str
    place: str
    address: str


DOWNLOADS = {
    "fashion-mnist": _Download(
        _fashion_mnist,
        "the four idx .gz files",
        "FashionMNIST/raw",
        "https://github.com/zalandoresearch/fashion-mnist",
    ),
    "cifar10": _Download(
        partial(_cifar, datasets.CIFAR10, "cifar10"),
        "cifar-10-python.tar.gz",
        "",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "cifar100": _Download(
        partial(_cifar, datasets.CIFAR100, "cifar100"),
        "cifar-100-python.tar.gz",
        "",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
    ),
    "svhn": _Download(
        _svhn,
        "train_32x32.mat and test_32x32.mat",
        "",
        "http://ufldl.stanford.edu/housenumbers/",
    ),
}
NAMES = (EMBEDDED, *DOWNLOADS)
SIZES = {  # images for training and for testing
    EMBEDDED: (10_000, 2_000),
    "fashion-mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "svhn": (73_257, 26_032),
}


def _read_or_download(name: str, split: str, folder: Path) -> Images:
    source = DOWNLOADS[name]
    # torchvision raises RuntimeError where a file is missing or not whole. What is there is read without a download,
    # so that a folder which only others may write to serves as well.
    with suppress(RuntimeError):
        return source.read(split, folder, False)
    ensure_writable(folder)
    try:
        return source.read(split, folder, True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise ConnectionError(
            f"{name} is missing or incomplete in {folder}, and its download failed: {' '.join(str(error).split())} "
            f"With no network, put {source.files} from {source.address} into {folder / source.place} by hand. "
            f"Or use {EMBEDDED!r}, which needs no download."
        ) from error
