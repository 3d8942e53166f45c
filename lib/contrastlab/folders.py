"""A folder of images, one folder a class: which files belong to a split, in which order, and their pixels."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision import datasets
from torchvision.transforms.functional import pil_to_tensor

SPLITS = ("train", "test")
SPLIT_FOLDERS = (*SPLITS, "val")
HELD_OUT_EVERY = 5
AHEAD = 256  # images that are decoded before somebody asks for them

Folder = tuple[Tensor, Tensor, tuple[str, ...]]


def read_folder(folder: Path, split: str = "train", size: int | None = None) -> Folder:
    """Decode a folder of images, one folder a class: FOLDER/train/CLASS/* and FOLDER/test/CLASS/* (or val for test).

    Without split folders, FOLDER/CLASS/*, every fifth file of a class in order of name is held out as the test split.
    The images come in an order set by a hash of their names, so that the first n are a fair sample of the classes.
    size: resize the shorter side to it and cut out the central square; needed where the images differ in size.
    Returns the images (n, 3, H, W) uint8, their labels (n,) int64 and the names of the classes.
    Raises FileNotFoundError (no folder, no images, no split folder), ValueError (sizes or classes differ, unreadable
    image).
    """
    paths, labels, classes = list_folder(folder, split)
    for position, image in enumerate(decode(paths, size)):
        if position == 0:
            images = torch.empty((len(paths), *image.shape), dtype=torch.uint8)
        images[position] = image
    return images, labels, classes


def list_folder(folder: Path, split: str) -> tuple[list[str], Tensor, tuple[str, ...]]:
    """The files of a split in the order of `read_folder`, their labels (n,) int64 and the names of the classes.

    Raises FileNotFoundError or ValueError as `read_folder` does, except for what only reading an image can tell.
    """
    check_is_folder(folder)
    is_split = any((folder / name).is_dir() for name in SPLIT_FOLDERS)
    source = _split_folder(folder, split) if is_split else folder
    classes = _class_names(source)
    samples = _samples(source, classes, least=1 if is_split else HELD_OUT_EVERY)
    samples = samples if is_split else _hold_out(samples, split)
    samples.sort(key=lambda sample: hashlib.sha256(Path(sample[0]).relative_to(source).as_posix().encode()).digest())
    return [path for path, _ in samples], torch.tensor([label for _, label in samples]), classes


def check_is_folder(path: Path, names: Sequence[str] = ()) -> None:
    """Raise FileNotFoundError unless the path is a folder. names: what could have been given instead of one."""
    if not path.is_dir():
        instead = f", or one of the names {', '.join(names)}" if names else ""
        raise FileNotFoundError(f"no folder {path}. Give the path of a folder of images{instead}.")


def decode(paths: list[str], size: int | None = None) -> Iterator[Tensor]:
    """The images (3, H, W) uint8 one after the other, of which only the next few are in memory; size as above.

    Raises ValueError for an impossible size, an image that cannot be read, or one larger or smaller than the first.
    """
    if size is not None and size < 1:
        raise ValueError(f"size is the side of the images in pixels and must be at least 1, got {size}.")
    first = _open(paths[0], size).size

    def pixels(path: str) -> Tensor:
        image = _open(path, size)
        if image.size != first:
            raise ValueError(
                f"the images differ in size: {paths[0]} is {first[0]} x {first[1]}, {path} is "
                f"{image.width} x {image.height}. Give size=32, say, to resize and crop all to a square."
            )
        return pil_to_tensor(image)

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AHEAD):
            yield from pool.map(pixels, paths[start : start + AHEAD])


def _split_folder(folder: Path, split: str) -> Path:
    train = folder / "train"
    test = folder / ("test" if (folder / "test").is_dir() else "val")
    for needed in (train, test):
        if not needed.is_dir():
            raise FileNotFoundError(
                f"{folder} holds split folders, but not {needed.name}. Expected {folder}/train/CLASS/* and "
                f"{folder}/test/CLASS/*; without either, a test split is held out of {folder}/CLASS/*."
            )
    if _class_names(train) != _class_names(test):
        odd = sorted(set(_class_names(train)) ^ set(_class_names(test)))
        raise ValueError(
            f"{train} and {test} hold different classes, only one of them has: {', '.join(odd[:5])}. "
            "Labels are positions in the sorted list of classes, so both must hold the same."
        )
    return train if split == "train" else test


def _class_names(folder: Path) -> tuple[str, ...]:
    # Hidden folders are not classes: Jupyter, for one, leaves .ipynb_checkpoints wherever a file was opened.
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != "."))


def _is_image(path: str) -> bool:
    return datasets.folder.is_image_file(path) and not Path(path).name.startswith(".")


def _samples(source: Path, classes: tuple[str, ...], least: int) -> list[tuple[str, int]]:
    if not classes:
        raise FileNotFoundError(f"no class folders in {source}. Expected one folder a class: {source}/CLASS/*.jpg")
    label_of = {name: label for label, name in enumerate(classes)}
    samples = datasets.ImageFolder.make_dataset(str(source), label_of, is_valid_file=_is_image, allow_empty=True)
    count = Counter(label for _, label in samples)
    few = [name for name in classes if count[label_of[name]] < least]
    if few:
        raise FileNotFoundError(
            f"too few images in {source} for the class(es) {', '.join(few[:5])}: each needs at least {least}. "
            "Add images (.jpg, .png, ...) or remove these folders."
        )
    return samples


def _hold_out(samples: list[tuple[str, int]], split: str) -> list[tuple[str, int]]:
    seen: Counter[int] = Counter()
    kept = []
    for path, label in samples:
        seen[label] += 1
        if (seen[label] % HELD_OUT_EVERY == 0) == (split == "test"):
            kept.append((path, label))
    return kept


def _open(path: str, size: int | None) -> Image.Image:
    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read the image {path}: {error}. Remove or replace it.") from error
    return image if size is None else ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
