"""Make ten-temperatures-maps.npz, the maps of test images that the interactive figure of chapter 7 moves between.

    python data/make_maps.py [--out FILE]

One t-SNE map a recorded temperature, of the kept embeddings of seed 0. The map of 0.2 starts from the two principal
components, every other one from the finished map of its neighbour, and is then turned and mirrored onto it, so that an
image stays near its place where its neighbours do.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from scipy.linalg import orthogonal_procrustes
from sklearn.manifold import TSNE

from contrastlab.files import sha256, write_atomically
from contrastlab.widgets.ten_temperatures_data import MAPS, SHOWN, digest, kept_embeddings

HERE = Path(__file__).resolve().parent
FIRST = 0.2  # the middle of the ten
STEPS = 500


def map_of(z: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """A t-SNE map of z (n, d): (n, 2), its middle at 0.

    start: (n, 2) is a finished map of the same images. No cluster has to find its place from there, so the early
    exaggeration, which serves that, is left out.
    """
    options = {"init": "pca"} if start is None else {"init": start.astype(np.float32), "early_exaggeration": 1}
    flat = TSNE(max_iter=STEPS, random_state=0, **options).fit_transform(z).astype(np.float64)
    return flat - flat.mean(axis=0)


def chain(z: list[np.ndarray], first: int) -> np.ndarray:
    """Maps (T, n, 2) of T embeddings z (n, d), each but the first started from its neighbour's; mean radius² 1."""
    maps = {first: map_of(z[first], None)}
    for step, side in ((-1, range(first - 1, -1, -1)), (1, range(first + 1, len(z)))):
        for t in side:
            flat = map_of(z[t], maps[t - step])
            maps[t] = flat @ orthogonal_procrustes(flat, maps[t - step])[0]
    return np.stack([maps[t] / np.sqrt((maps[t] ** 2).sum(axis=1).mean()) for t in range(len(z))])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / MAPS)
    given = parser.parse_args(arguments)
    taus, z, _ = kept_embeddings(HERE.parent)
    maps = chain([one[:SHOWN].numpy() for one in z], taus.index(FIRST))
    maps -= (maps.min(axis=(0, 1)) + maps.max(axis=(0, 1))) / 2  # in the middle of a square frame
    whole = np.rint(32767 * maps / np.abs(maps).max()).astype(np.int16)
    content = io.BytesIO()
    np.savez_compressed(content, maps=whole, digests=np.array([digest(one) for one in z]))
    write_atomically(given.out, content.getvalue())
    print(f"{given.out}: {given.out.stat().st_size} bytes, sha256 {sha256(given.out)}")


if __name__ == "__main__":
    main()
