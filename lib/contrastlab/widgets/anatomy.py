"""The figure of chapters 2 and 3: one anchor's loss taken apart, with points that can be dragged round the circle."""

import math

import torch
import traitlets
from torch import Tensor

from .. import hardness, losses
from .anatomy_still import draw_still
from .figure import Floats, InteractiveFigure, Temperature

MOST_NEGATIVES = 12  # for which circle and table have room
_DECIMALS = 6  # of a degree, so that another processor's last digit does not change the bytes of a committed notebook


def similarities(angles: Tensor) -> tuple[Tensor, Tensor]:
    """s_pos (B,) and s_neg (B, K) of points on the unit circle.

    angles: (B, 2 + K) in radians, one anchor a row: the anchor, its positive, its negatives.
    """
    s = (angles[:, 1:] - angles[:, :1]).cos()  # (B, 1 + K)
    return s[:, 0], s[:, 1:]


def circle_forces(angles: Tensor, tau: float) -> Tensor:
    """Minus the gradient of each anchor's contrastive loss with respect to every point, along the circle's tangent.

    angles: (B, 2 + K) in radians, as for `similarities`. Returns (B, 2 + K), counter-clockwise if positive, by autograd
    through `losses.contrastive_loss` (Eq. 1). Each row sums to 0. Raises ValueError unless tau > 0.
    """
    leaf = angles.detach().clone().requires_grad_()
    losses.contrastive_loss(*similarities(leaf), tau).sum().backward()
    return -leaf.grad


class AnatomyFigure(InteractiveFigure):
    """One anchor, its positive and K negatives on the unit circle, with a slider for tau from 0.01 to 10.

    tau: temperature > 0. anchor, positive, negatives: angles in degrees, counter-clockwise from the right, kept in
    (-180, 180]; 1 to 12 negatives. All follow what the reader drags. show: "loss", with the similarities as shadows on
    the anchor's direction, or "forces"; each has a task of its own. start: the points that the task starts from.
    Raises ValueError for another tau, an angle that is not finite, or another number of negatives.
    Source: Wang & Liu, CVPR 2021, Eq. 1, 2 and 4.
    """

    MODULE = "anatomy.mjs"
    STATE = ("tau", "anchor", "positive", "negatives", "show", "start")

    tau = Temperature(0.3).tag(sync=True)
    anchor = traitlets.Float(0.0).tag(sync=True)
    positive = traitlets.Float(35.0).tag(sync=True)
    negatives = Floats(traitlets.Float(), default_value=[60.0, 115.0, 180.0, -120.0, -70.0]).tag(sync=True)
    show = traitlets.Enum(["loss", "forces"], default_value="loss").tag(sync=True)
    start = traitlets.Dict(read_only=True).tag(sync=True)

    @traitlets.default("start")
    def _start(self) -> dict[str, object]:
        names = ("tau", "anchor", "positive", "negatives")
        return {name: getattr(self, name) for name in names}

    @property
    def angles(self) -> Tensor:
        """Angles of anchor, positive and negatives in radians, (2 + K,) in float64."""
        degrees = torch.tensor([self.anchor, self.positive, *self.negatives], dtype=torch.float64)
        return degrees * (math.pi / 180)

    @property
    def s_pos(self) -> float:
        """Cosine similarity of the anchor to its positive."""
        return float(self._similarities[0])

    @property
    def s_neg(self) -> Tensor:
        """Cosine similarities of the anchor to its negatives, (K,) in float64."""
        return self._similarities[1][0]

    @property
    def P(self) -> Tensor:
        """The softmax of Eq. 2, (1 + K,) in float64, the positive first; sums to 1."""
        P_pos, P_neg = hardness.probabilities(*self._similarities, self.tau)
        return torch.cat([P_pos, P_neg[0]])

    @property
    def loss(self) -> float:
        """The contrastive loss of the anchor in nats, Eq. 1."""
        return float(losses.contrastive_loss(*self._similarities, self.tau))

    @property
    def start_loss(self) -> float:
        """The loss of the points that the task starts from, at the temperature that is set now."""
        degrees = [self.start["anchor"], self.start["positive"], *self.start["negatives"]]
        angles = torch.tensor([degrees], dtype=torch.float64) * (math.pi / 180)
        return float(losses.contrastive_loss(*similarities(angles), self.tau))

    @property
    def forces(self) -> Tensor:
        """The force on each point, (2 + K,) in float64 in the order of `angles`, counter-clockwise if positive."""
        return circle_forces(self.angles[None], self.tau)[0]

    @property
    def _similarities(self) -> tuple[Tensor, Tensor]:
        return similarities(self.angles[None])  # (1,), (1, K)

    @traitlets.validate("anchor", "positive")
    def _valid_angle(self, proposal: dict) -> float:
        return _wrapped(proposal["value"], proposal["trait"].name)

    @traitlets.validate("negatives")
    def _valid_negatives(self, proposal: dict) -> list[float]:
        angles = proposal["value"]
        if not 1 <= len(angles) <= MOST_NEGATIVES:
            raise ValueError(
                f"the circle has room for 1 to {MOST_NEGATIVES} negatives, got {len(angles)}. Give one angle for each."
            )
        return [_wrapped(angle, "each negative") for angle in angles]

    def __repr__(self) -> str:
        return f"AnatomyFigure(tau={self.tau:g}, K={len(self.negatives)}, show={self.show!r})"

    def still(self) -> str:
        return draw_still(self)


def _wrapped(degrees: float, name: str) -> float:
    if not math.isfinite(degrees):
        raise ValueError(f"{name} is a place on the circle and must be a finite number of degrees, got {degrees:g}.")
    within = round(180 - (180 - degrees) % 360, _DECIMALS)
    return 180.0 if within == -180 else within  # to which a hair above it is rounded
