"""Make fashion-mini.npz, the small balanced part of Fashion-MNIST that the book embeds.

    python data/make_fashion_mini.py FOLDER [--out FILE]

FOLDER holds the four idx .gz files of Fashion-MNIST, as Zalando publishes them; on Debian and Ubuntu the package
dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist. The same files give the same bytes again.
"""

import argparse
import gzip
import io
import zipfile
from pathlib import Path

import numpy as np

from contrastlab.files import sha256, write_atomically

SEED = 2021
TRAIN_PER_CLASS = 1000
TEST_PER_CLASS = 200
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
UNSIGNED_BYTE = 8


def read_idx(path: Path) -> np.ndarray:
    """Read one gzipped idx file of unsigned bytes: two zero bytes, type, number of axes, sizes, values."""
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise ValueError(f"{path} is no idx file of unsigned bytes: it starts with {content[:4].hex()}.")
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def balanced_choice(labels: np.ndarray, per_class: int, rng: np.random.RandomState) -> np.ndarray:
    """Choose per_class positions of every class at random, in rounds that hold each class once.

    labels: (n,). Returns (classes * per_class,) positions; any first m of them are balanced to within one.
    """
    rounds = np.empty((per_class, len(CLASSES)), dtype=np.int64)
    for label in range(len(CLASSES)):
        members = np.flatnonzero(labels == label)
        if len(members) < per_class:
            raise ValueError(f"class {CLASSES[label]!r} has {len(members)} images, but {per_class} are needed.")
        rounds[:, label] = rng.permutation(members)[:per_class]
    return np.concatenate([rng.permutation(one_round) for one_round in rounds])


def choose(folder: Path, train_per_class: int, test_per_class: int) -> dict[str, np.ndarray]:
    """The arrays of fashion-mini, train from the train files only and test from the test files only."""
    # RandomState's streams are frozen by NumPy's policy, those of default_rng are not.
    rng = np.random.RandomState(SEED)
    arrays = {}
    for split, prefix, per_class in (("train", "train", train_per_class), ("test", "t10k", test_per_class)):
        images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = balanced_choice(labels, per_class, rng)
        arrays[f"{split}_images"] = images[chosen]
        arrays[f"{split}_labels"] = labels[chosen]
    return arrays | {"classes": np.array(CLASSES)}


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """The arrays as a compressed .npz with nothing in it that depends on the time or the system."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            file.writestr(member, content.getvalue(), compresslevel=9)
    return archive.getvalue()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four idx .gz files of Fashion-MNIST")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("fashion-mini.npz"))
    parser.add_argument("--train-per-class", type=int, default=TRAIN_PER_CLASS)
    parser.add_argument("--test-per-class", type=int, default=TEST_PER_CLASS)
    given = parser.parse_args(arguments)
    write_atomically(given.out, npz_bytes(choose(given.folder, given.train_per_class, given.test_per_class)))
    print(f"{given.out}: {given.out.stat().st_size} bytes, sha256 {sha256(given.out)}")


if __name__ == "__main__":
    main()
