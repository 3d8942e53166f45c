"""A data set larger than memory: a folder of images packed into arrays that are mapped, and read where they are used.

A packed data set is a folder with packed.json (format, name, size, classes) and, for both splits, SPLIT-images.npy
(n, 3, H, W) uint8 and SPLIT-labels.npy (n,) int64. Processes on one machine share the pages that they read.
"""

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .files import ensure_writable
from .folders import SPLITS, decode, list_folder

DESCRIPTION = "packed.json"
FORMAT = 1


def pack(folder: Path, target: Path, size: int | None = None) -> None:
    """Pack a folder of images, read by the rules and in the order of `folders.read_folder`, into the folder target.

    Whatever the number of images, a few hundred are in memory at a time. size: see read_folder.
    An interrupted pack leaves no target. Raises FileExistsError rather than replace anything, and as read_folder does.
    """
    folder, target = Path(folder), Path(target)
    if target.exists():
        raise FileExistsError(f"{target} exists already. Remove it to pack again, or name another folder.")
    if folder.resolve() in target.resolve().parents:
        raise ValueError(
            f"{target} lies in the folder of images, where it would be taken for a class. Put it elsewhere."
        )
    splits = {split: list_folder(folder, split) for split in SPLITS}
    unfinished = Path(tempfile.mkdtemp(dir=ensure_writable(target.parent), prefix=f".{target.name}."))
    try:
        shapes = {}
        for split, (paths, labels, _) in splits.items():
            shapes[split] = _write_images(unfinished / f"{split}-images.npy", paths, size)
            np.save(unfinished / f"{split}-labels.npy", labels.numpy())
        if shapes["train"] != shapes["test"]:
            sizes = " and ".join(f"{height} x {width}" for _, height, width in shapes.values())
            raise ValueError(
                f"the images of the splits differ in size (height x width): {sizes}. "
                "Give size=32, say, to resize and crop all to a square."
            )
        description = {"format": FORMAT, "name": folder.resolve().name, "classes": splits["train"][2], "size": size}
        (unfinished / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        unfinished.chmod(0o755)
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def is_packed(folder: Path) -> bool:
    """Whether the folder holds a packed data set, by its description."""
    return (Path(folder) / DESCRIPTION).is_file()


def read_packed(folder: Path, split: str = "train") -> tuple[Tensor, Tensor, tuple[str, ...], str]:
    """A split of a packed data set: images (n, 3, H, W) uint8, labels (n,) int64, the classes' names, and its name.

    The images are mapped read-only: pages come from the disk when they are used, and writing into them ends the
    process. Raises ValueError where the files are damaged or of another version.
    """
    folder = Path(folder)
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if description["format"] != FORMAT:
            raise ValueError(f"its format is {description['format']}, this version of contrastlab reads {FORMAT}")
        images = np.load(folder / f"{split}-images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(folder / f"{split}-labels.npy", allow_pickle=False)
        if images.dtype != np.uint8 or labels.dtype != np.int64 or len(images) != len(labels):
            raise ValueError(f"{len(images)} images of {images.dtype} with {len(labels)} labels of {labels.dtype}")
    except (OSError, LookupError, TypeError, ValueError, EOFError) as error:
        raise ValueError(f"the packed data set {folder} is damaged: {error}. Pack its images again.") from error
    return _as_tensor(images), torch.from_numpy(labels), tuple(description["classes"]), description["name"]


def _write_images(path: Path, paths: list[str], size: int | None) -> tuple[int, ...]:
    """Write the decoded images one by one behind the header of an .npy file; returns the shape of one of them."""
    shape: tuple[int, ...] = ()
    with open(path, "xb") as file:  # not a map: a full disk would end the process without a word
        for image in decode(paths, size):
            if not shape:
                shape = tuple(image.shape)
                header = {"descr": "|u1", "fortran_order": False, "shape": (len(paths), *shape)}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(image.contiguous().numpy().data)
        file.flush()
        os.fsync(file.fileno())
    return shape


def _as_tensor(mapped: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(mapped)
