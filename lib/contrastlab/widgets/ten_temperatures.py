"""The figure of chapter 7: one set of images as ten encoders see it, each trained at another temperature."""

from typing import NamedTuple

import numpy as np
import traitlets

from . import ten_temperatures_data
from .figure import InteractiveFigure
from .ten_temperatures_data import Recorded
from .ten_temperatures_still import draw_still


class Neighbour(NamedTuple):
    """One of the nearest images: its number in the test set, the name of its class, its cosine similarity."""

    image: int
    kind: str
    similarity: float


class Spread(NamedTuple):
    """A measure over the recorded seeds."""

    mean: float
    low: float
    high: float


class TenTemperaturesFigure(InteractiveFigure):
    """Maps, similarities, neighbours and measures of recorded test embeddings, with a slider over ten temperatures.

    tau: one of the recorded temperatures. image: number of the chosen test image, from 0 to 599. Both follow the
    reader. data: what the browser shows, in Jupyter; a page of the site fetches the same bytes from _static/figures.
    Raises ValueError for another tau or image, and FileNotFoundError where the records are missing.
    Source: Wang & Liu, CVPR 2021, Figures 2, 4, 5 and 9.
    """

    MODULE = "ten_temperatures.mjs"
    STATE = ("tau", "image")

    tau = traitlets.Float(1.0).tag(sync=True)
    image = traitlets.Int(95).tag(sync=True)
    data = traitlets.Bytes(read_only=True).tag(sync=True)

    @traitlets.default("data")
    def _data(self) -> bytes:
        return ten_temperatures_data.recorded_bytes()

    @property
    def recorded(self) -> Recorded:
        """All that the figure shows, as arrays."""
        return ten_temperatures_data.recorded()

    @property
    def neighbours(self) -> list[Neighbour]:
        """The ten images most similar to the chosen one, nearest first."""
        shown, t = self.recorded, self._t
        near, similarities = shown.neighbours[t, self.image].tolist(), shown.similarities[t, self.image].tolist()
        kinds = [shown.classes[label] for label in shown.labels[near]]
        return [Neighbour(*one) for one in zip(near, kinds, similarities, strict=True)]

    @property
    def own_class(self) -> int:
        """How many of them are of the chosen image's class."""
        return int(self._own[self._t, self.image])

    @property
    def mean_own_class(self) -> float:
        """The mean of that number over all images on the map."""
        return float(self._own[self._t].mean())

    @property
    def reached(self) -> bool:
        """Whether no temperature gives the chosen image more neighbours of its own class."""
        return self.own_class == self._own[:, self.image].max()

    @property
    def mean_similarities(self) -> tuple[float, float]:
        """The mean similarity of two test images of one class, and of two classes."""
        same, different = self.recorded.means[self._t].tolist()
        return same, different

    @property
    def uniformity(self) -> Spread:
        """Uniformity of the encoders trained at tau."""
        return self._spread("uniformity")

    @property
    def tolerance(self) -> Spread:
        """Tolerance of the encoders trained at tau."""
        return self._spread("tolerance")

    @property
    def linear_accuracy(self) -> Spread:
        """Accuracy of a linear classifier on their features, in per cent."""
        return self._spread("linear_accuracy")

    @property
    def _t(self) -> int:
        return self.recorded.temperatures.index(self.tau)

    @property
    def _own(self) -> np.ndarray:
        labels = self.recorded.labels
        return (labels[self.recorded.neighbours] == labels[:, None]).sum(axis=2)  # (T, n)

    def _spread(self, measure: str) -> Spread:
        rows = self.recorded.measures[measure][:, self._t]  # (seeds,)
        return Spread(float(rows.mean()), float(rows.min()), float(rows.max()))

    @traitlets.validate("tau")
    def _valid_tau(self, proposal: dict) -> float:
        temperatures = self.recorded.temperatures
        if proposal["value"] not in temperatures:
            named = ", ".join(f"{tau:g}" for tau in temperatures)
            raise ValueError(f"tau must be one of the recorded temperatures, {named}; got {proposal['value']:g}.")
        return proposal["value"]

    @traitlets.validate("image")
    def _valid_image(self, proposal: dict) -> int:
        last = len(self.recorded.labels) - 1
        if not 0 <= proposal["value"] <= last:
            raise ValueError(f"image must be a test image on the map, from 0 to {last}, got {proposal['value']}.")
        return proposal["value"]

    def __repr__(self) -> str:
        return f"TenTemperaturesFigure(tau={self.tau:g}, image={self.image})"

    def still(self) -> str:
        return draw_still(self)
