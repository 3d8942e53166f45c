"""What decides a run: its configuration, and the loss and the learning rate that follow from it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from . import encoders, losses
from .checks import check_temperature
from .names import one_of

SCHEDULES = ("cosine", "step")
NEGATIVES = ("bank", "batch")


@dataclass(frozen=True)
class Config:
    """Everything that decides a run, apart from the images and the machine. The defaults are the laptop profile's."""

    loss: str = "contrastive"
    tau: float | None = 0.2  # None for the losses that have none
    alpha: float | None = None  # share of negatives that a hard loss keeps
    k: int | None = None  # or their number
    negatives: str = "batch"  # or "bank"
    bank_momentum: float = 0.5
    encoder: str = "small"
    width: int = 16
    dim: int = 128
    epochs: int = 6
    batch_size: int = 256  # of all processes together
    lr: float = 0.12
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()  # epochs at which the step schedule divides the learning rate by 10
    warmup: float = 0.5  # epochs
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(self.loss, losses.LOSSES, "loss")
        one_of(self.negatives, NEGATIVES, "source of negatives")
        one_of(self.encoder, encoders.ENCODERS, "encoder")
        one_of(self.schedule, SCHEDULES, "schedule")
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if "tau" in losses.SETTINGS[self.loss]:
            check_temperature(math.nan if self.tau is None else self.tau)
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(
                f"a run needs epochs >= 1 and a batch of at least 2 images, "
                f"got epochs = {self.epochs} and batch_size = {self.batch_size}"
            )


def loss_function(config: Config) -> Callable[[Tensor, Tensor], Tensor]:
    """The config's loss as a function of (s_pos, s_neg)."""
    function = getattr(losses, f"{config.loss}_loss")
    settings = {name: getattr(config, name) for name in losses.SETTINGS[config.loss]}
    return lambda s_pos, s_neg: function(s_pos, s_neg, **settings)


def learning_rate(config: Config, epoch: float) -> float:
    """The learning rate after a (fractional) number of epochs: linear warm-up, then cosine to 0 or steps of 1/10."""
    warm = min(1.0, (epoch + 1e-3) / config.warmup) if config.warmup > 0 else 1.0
    if config.schedule == "step":
        return config.lr * warm * 0.1 ** sum(epoch >= milestone for milestone in config.milestones)
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / config.epochs)))
