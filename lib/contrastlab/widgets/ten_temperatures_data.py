"""What the figure of chapter 7 shows: recorded test embeddings of ten encoders, prepared for the browser."""

import hashlib
import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import data, records
from ..files import repository_root, write_atomically

PROFILES = ("laptop", "more-seeds", "temperatures")
SEED = 0  # whose embeddings were kept
SHOWN = 600  # images on the map, which are also the candidates for neighbours
NEIGHBOURS = 10
BINS = 50
MEASURES = ("uniformity", "tolerance", "linear_accuracy")
MAPS = "ten-temperatures-maps.npz"
SPRITE_COLUMNS = 30

# Five colours of Okabe and Ito's palette, or near to them, that have 3 : 1 on white and on the dark page; the second
# five classes have the same colours as rings. Classes that mix on the map never differ by form alone.
_COLOURS = ("#0072b2", "#d55e00", "#00906a", "#c065a0", "#767676")
_DISCS, _RINGS = (0, 2, 3, 4, 6), (1, 5, 7, 8, 9)
GLYPHS = {label: (colour, "disc") for label, colour in zip(_DISCS, _COLOURS, strict=True)}
GLYPHS |= {label: (colour, "ring") for label, colour in zip(_RINGS, _COLOURS, strict=True)}


@dataclass(frozen=True, eq=False)
class Recorded:
    """All that the figure shows, for T temperatures, n images and k neighbours.

    maps: (T, n, 2) int16, 32767 at the edge. neighbours: (T, n, k) images, nearest first; similarities: (T, n, k).
    same, different: (T, bins) pairs of one class and of two among all test images, by similarity from -1 to 1; means:
    (T, 2) mean similarities of both; all_images: how many images those are. measures: name -> (seeds, T). sprite: a PNG
    of the n images.
    """

    temperatures: tuple[float, ...]
    classes: tuple[str, ...]
    labels: np.ndarray
    maps: np.ndarray
    neighbours: np.ndarray
    similarities: np.ndarray
    same: np.ndarray
    different: np.ndarray
    means: np.ndarray
    all_images: int
    measures: dict[str, np.ndarray]
    sprite: bytes


def recorded(root: Path | None = None) -> Recorded:
    """Read the records under root, by default the book's, and compute what the figure shows of them, once a root.

    Raises FileNotFoundError or ValueError, with what to do, where records, embeddings or maps are missing or do not
    belong together.
    """
    return compute(Path(root or repository_root()).resolve())


@lru_cache(maxsize=4)
def compute(root: Path) -> Recorded:
    """What `recorded` returns, of the records under root."""
    runs = records.load(*PROFILES, root=root)
    taus, z, labels = kept_embeddings(root)
    maps = _maps(z, root)
    images = data.load(data.EMBEDDED, "test", folder=root / "data")
    nearest = [nearest_images(one[:SHOWN]) for one in z]
    pairs = [count_pairs(one, labels) for one in z]
    return Recorded(
        temperatures=tuple(taus),
        classes=images.classes,
        labels=labels[:SHOWN].numpy(),
        maps=maps,
        neighbours=np.stack([images for images, _ in nearest]),
        similarities=np.stack([s for _, s in nearest]),
        same=np.stack([same for same, _, _ in pairs]),
        different=np.stack([different for _, different, _ in pairs]),
        means=np.stack([means for _, _, means in pairs]),
        all_images=len(labels),
        measures={name: records.table(runs, name)[1] for name in MEASURES},
        sprite=_sprite(images.images[:SHOWN, 0].numpy()),
    )


def kept_embeddings(root: Path) -> tuple[list[float], list[Tensor], Tensor]:
    """Temperatures in order, their test embeddings of seed 0, (n, d) float64 of length 1, and the labels (n,)."""
    runs = records.load(*PROFILES, root=root)
    chosen = [run for run in runs if (run["config"]["loss"], run["config"]["seed"]) == ("contrastive", SEED)]
    by_tau = {run["config"]["tau"]: run["profile"] for run in chosen}
    z = []
    for tau in sorted(by_tau):
        try:
            kept, labels = records.load_embeddings(by_tau[tau], f"contrastive-tau{tau:g}-seed{SEED}", root)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{error}. The figure needs those of all its temperatures. Get the book's own back with: "
                f"git checkout -- data/runs. Or make new ones, and maps of them: contrastlab sweep --profile "
                f"{by_tau[tau]} --records FOLDER"
            ) from error
        z.append(torch.nn.functional.normalize(kept.double(), dim=1))
    return sorted(by_tau), z, labels


def digest(z: Tensor) -> str:
    """SHA-256 of the embeddings of the images on the map, by which maps and embeddings know each other."""
    return hashlib.sha256(z[:SHOWN].half().numpy().tobytes()).hexdigest()


def nearest_images(z: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The NEIGHBOURS most similar other images of each of n, nearest first: (n, k) images and (n, k) similarities."""
    s = (z @ z.T).fill_diagonal_(-2)  # (n, n)
    order = s.argsort(dim=1, descending=True, stable=True)[:, :NEIGHBOURS]
    return order.numpy(), s.gather(1, order).numpy()


def count_pairs(z: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one class and of two, each (bins,) by similarity from -1 to 1, and both mean similarities (2,)."""
    i, j = torch.triu_indices(len(z), len(z), offset=1)
    s = (z @ z.T)[i, j]  # (n (n - 1) / 2,)
    one_class = labels[i] == labels[j]
    bins = ((s + 1) * BINS / 2).long().clamp(0, BINS - 1)
    same, different = (bins[chosen].bincount(minlength=BINS).numpy() for chosen in (one_class, ~one_class))
    return same, different, np.array([s[one_class].mean(), s[~one_class].mean()])


def _maps(z: list[Tensor], root: Path) -> np.ndarray:
    path = root / "data" / MAPS
    remedy = "Make it: python data/make_maps.py"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing. {remedy}")
    with np.load(path, allow_pickle=False) as arrays:
        maps, digests = arrays["maps"], arrays["digests"].tolist()
    if digests != [digest(one) for one in z]:
        raise ValueError(f"{path} holds maps of other embeddings than those in data/runs. {remedy}")
    return maps


def _sprite(images: np.ndarray) -> bytes:
    """A PNG with the images (n, H, W) side by side, SPRITE_COLUMNS in a row."""
    n, height, width = images.shape
    rows = images.reshape(n // SPRITE_COLUMNS, SPRITE_COLUMNS, height, width).swapaxes(1, 2)  # (rows, H, columns, W)
    content = io.BytesIO()
    Image.fromarray(rows.reshape(-1, SPRITE_COLUMNS * width)).save(content, "PNG", optimize=True)
    return content.getvalue()


def to_bytes(shown: Recorded) -> bytes:
    """The file that the browser reads: the header's length as uint32, the header as JSON, arrays, the sprite.

    Little-endian. Similarities are int16, 32767 for 1. The header names each array's type, place and length, and its
    places count from the header's end, a multiple of 4.
    """
    arrays = {
        "maps": shown.maps.astype("<i2"),
        "neighbours": shown.neighbours.astype("<u2"),
        "similarities": np.rint(32767 * shown.similarities).astype("<i2"),
        "sprite": np.frombuffer(shown.sprite, np.uint8),
    }
    places, body = {}, b""
    for name, array in arrays.items():
        places[name] = [len(body), array.size]
        body += array.tobytes()
    header = {
        "temperatures": shown.temperatures,
        "classes": shown.classes,
        "glyphs": [GLYPHS[label] for label in range(len(shown.classes))],
        "labels": shown.labels.tolist(),
        "neighboursEach": NEIGHBOURS,
        "allImages": shown.all_images,
        "seeds": len(shown.measures["uniformity"]),
        "spriteColumns": SPRITE_COLUMNS,
        "same": shown.same.tolist(),
        "different": shown.different.tolist(),
        "means": shown.means.round(6).tolist(),
        "measures": {name: rows.round(6).tolist() for name, rows in shown.measures.items()},
        "places": places,
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    return len(text).to_bytes(4, "little") + text + body


@lru_cache(maxsize=1)
def recorded_bytes() -> bytes:
    """The book's own data as the browser reads them."""
    return to_bytes(recorded())


def write_for_site(folder: Path, root: Path | None = None) -> Path:
    """Write the data of the book in root into a folder of the site, and return the file's path."""
    path = Path(folder) / "ten-temperatures.bin"
    write_atomically(path, to_bytes(recorded(root)))
    return path
