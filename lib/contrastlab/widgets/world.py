"""The third interactive figure, of chapter 5 and the title page: a few hundred points that follow a loss."""

import traitlets
from torch import Tensor

from .. import geometry
from .figure import InteractiveFigure, Temperature
from .world_flow import LONGEST, LOSS_NAMES, advance, labels_of, start_points
from .world_still import draw_still

_MOST_SEEDS = 2**31  # a trait travels to JavaScript as a number, and its bits are shifted there as 32
_FEWEST, _MOST = 8, 1000


class WorldFigure(InteractiveFigure):
    """Free points on the sphere in three dimensions, in four planted bunches, under a loss that does not see them.

    loss: "contrastive", "simple", "hard_contrastive" or "hard_simple" (8.19 % of the negatives). tau: temperature > 0,
    without effect on a simple loss. seed: of the start. n: how many points. A change of any of these starts anew.
    playing: whether the flow runs; steps: how far it has come. Set steps while playing is False and the figure goes
    there. compact: sphere, temperature and pause only.
    Raises ValueError for another loss, tau, n or seed, and for steps outside 0 to 4000.
    """

    MODULE = "world.mjs"
    STATE = ("loss", "tau", "seed", "n", "playing", "steps", "compact")

    loss = traitlets.Unicode("contrastive").tag(sync=True)
    tau = Temperature(0.07).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    n = traitlets.Int(300).tag(sync=True)
    playing = traitlets.Bool(True).tag(sync=True)
    steps = traitlets.Int(0).tag(sync=True)
    compact = traitlets.Bool(False).tag(sync=True)

    _path: tuple[tuple, int, Tensor] | None = None

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.observe(self._start_anew, ["loss", "tau", "seed", "n"])  # from now on: the options above may name steps

    def _start_anew(self, _: dict) -> None:
        self.steps = 0

    @property
    def points(self) -> Tensor:
        """Where the points are after `steps` steps: (n, 3) in float64, of length 1."""
        return self.points_after(self.steps)

    def points_after(self, steps: int) -> Tensor:
        """Where the points of this world are after so many steps: (n, 3) in float64, of length 1.

        Later points are found from those of the call before, so ask in rising order.
        """
        world = (self.seed, self.n, self.loss, self.tau)
        known, done, z = self._path or (None, 0, None)
        if known != world or done > steps:
            done, z = 0, start_points(self.seed, self.n)
        for _ in range(steps - done):
            z = advance(z, self.loss, self.tau)
        self._path = world, steps, z
        return z

    @property
    def labels(self) -> Tensor:
        """The class of each point, (n,), from 0 to 3."""
        return labels_of(self.n)

    @property
    def uniformity(self) -> float:
        """How evenly the points lie, over distinct pairs; about 2.1 at most for 300 points."""
        return geometry.uniformity(self.points)

    @property
    def tolerance(self) -> float:
        """The mean similarity of two points of one class."""
        return geometry.tolerance(self.points, self.labels)

    @property
    def effective_rank(self) -> float:
        """How many of the three dimensions the points use."""
        return geometry.effective_rank(self.points)

    @property
    def length_of_mean(self) -> float:
        """0 where the points balance, 1 where all are at one place."""
        return float(self.points.mean(dim=0).norm())

    @traitlets.validate("loss")
    def _valid_loss(self, proposal: dict) -> str:
        if proposal["value"] not in LOSS_NAMES:
            raise ValueError(f"there is no loss {proposal['value']!r} here. Choose one of {', '.join(LOSS_NAMES)}.")
        return proposal["value"]

    @traitlets.validate("seed", "n", "steps")
    def _valid_number(self, proposal: dict) -> int:
        name = proposal["trait"].name
        lowest, highest = {"seed": (0, _MOST_SEEDS - 1), "n": (_FEWEST, _MOST), "steps": (0, LONGEST)}[name]
        if not lowest <= proposal["value"] <= highest:
            raise ValueError(
                f"expected {name} from {lowest} to {highest}, got {proposal['value']}. Choose one of those."
            )
        return proposal["value"]

    def __repr__(self) -> str:
        return f"WorldFigure(loss={self.loss!r}, tau={self.tau:g}, n={self.n}, seed={self.seed})"

    def still(self) -> str:
        return draw_still(self)
