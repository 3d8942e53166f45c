"""The figure of chapter 4: which negatives take the push, as the temperature moves."""

import numpy as np
import torch
import traitlets
from torch import Tensor

from .. import hardness
from .figure import Floats, InteractiveFigure, Temperature
from .temperature_still import draw_still

SHARE = 0.95  # of the push, for the shaded interval
_EVENLY_SPREAD = [round(float(s), 4) for s in np.linspace(-1, 1, 100)]
_DECIMALS = 12  # so that another processor's last digit does not change the bytes of a committed notebook
_ROUNDING = 1e-6  # a cosine computed in float32 may pass 1 by this much


class TemperatureFigure(InteractiveFigure):
    """Relative penalty r of K negatives against their similarity, with a slider for tau from 0.01 to 10.

    tau: temperature > 0, follows the slider. similarities: K cosines to the anchor, default 100 evenly spread over
    [-1, 1]. labels: nothing, or one name a negative.
    Raises ValueError for another tau, no similarities, one outside [-1, 1], or labels of another length.
    Source: Wang & Liu, CVPR 2021, Eq. 5.
    """

    MODULE = "temperature.mjs"
    STATE = ("tau", "similarities", "labels")

    tau = Temperature(0.07).tag(sync=True)
    similarities = Floats(traitlets.Float(), default_value=_EVENLY_SPREAD).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)

    @property
    def r(self) -> Tensor:
        """Share of the push that each negative receives, (K,) in float64; sums to 1."""
        return hardness.relative_penalty(self._s_neg, self.tau)[0]

    @property
    def entropy(self) -> float:
        """Entropy of r in nats, between 0 and log K."""
        return float(hardness.penalty_entropy(self._s_neg, self.tau))

    @property
    def effective_negatives(self) -> float:
        """How many negatives effectively count, between 1 and K."""
        return float(hardness.effective_negatives(self._s_neg, self.tau))

    @property
    def interval(self) -> float:
        """The similarity above which lie 95 % of the push."""
        return float(hardness.penalty_interval(self._s_neg, self.tau, SHARE))

    @property
    def _s_neg(self) -> Tensor:
        return torch.tensor([self.similarities], dtype=torch.float64)  # (1, K)

    @traitlets.validate("similarities")
    def _valid_similarities(self, proposal: dict) -> list[float]:
        s = proposal["value"]
        outside = [x for x in s if not abs(x) <= 1 + _ROUNDING]  # "not <=" also catches NaN
        if outside:
            raise ValueError(
                f"similarities are cosines between -1 and 1, got {outside[0]:g}. "
                "Divide each embedding by its length before you take products."
            )
        if not s:
            raise ValueError("similarities is empty, but the push needs at least one negative to fall on.")
        _check_lengths(s, self.labels)
        return [round(x, _DECIMALS) for x in s]

    @traitlets.validate("labels")
    def _valid_labels(self, proposal: dict) -> list[str]:
        _check_lengths(self.similarities, proposal["value"])
        return proposal["value"]

    def __repr__(self) -> str:
        return f"TemperatureFigure(tau={self.tau:g}, K={len(self.similarities)})"

    def still(self) -> str:
        return draw_still(self)


class _Mismatch(ValueError, traitlets.TraitError):
    """A ValueError, as documented, for which `hold_trait_notifications` also takes all changes back."""


def _check_lengths(s: list[float], labels: list[str]) -> None:
    if labels and len(labels) != len(s):
        raise _Mismatch(
            f"expected one label a negative: {len(s)} similarities, got {len(labels)} labels. "
            "Set both together, inside `with figure.hold_trait_notifications():`, or no labels."
        )
