"""A Sphinx extension: figures of photographs get the class `photograph`, for they must not be turned in the dark."""

from pathlib import Path

import numpy as np
from docutils import nodes
from matplotlib.image import imread
from sphinx.application import Sphinx

USUAL_GREYS = 8  # of a plot: its ground, ink, grid and bands
SHARE = 0.12  # the book's plots have at most 0.06 of other greys, from smoothed edges; its photographs 0.22 and more


def mark(app: Sphinx, doctree: nodes.document, page: str) -> None:
    for image in doctree.findall(nodes.image):
        path = Path(app.srcdir) / image["uri"]
        if path.suffix == ".png" and is_photograph(imread(path)):
            image["classes"].append("photograph")


def is_photograph(pixels: np.ndarray) -> bool:
    """Whether many pixels have one of many greys. pixels: (height, width, 3 or more), from 0 to 1."""
    levels = np.round(255 * pixels[..., :3]).astype(int)
    greys = levels[np.ptp(levels, axis=2) <= 2, 0]
    rare = np.sort(np.bincount(greys, minlength=256))[:-USUAL_GREYS].sum()
    return bool(rare / levels[..., 0].size > SHARE)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
