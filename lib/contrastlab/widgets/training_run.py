"""One run of the training panel: what a reader chose, and the book's training loop watched at every epoch."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from .. import data, encoders, geometry, views
from ..config import Config
from ..data import Images
from ..evaluate import embed
from ..train import Trained, train

LOSSES = {  # and the settings that each has
    "contrastive": ("tau",),
    "simple": (),
    "hard_contrastive": ("tau", "alpha"),
    "hard_simple": ("alpha",),
}
TEST_IMAGES = 1000  # at most, held out, whose geometry is measured
WIDTH, BATCH_SIZE, LR = 8, 128, 0.06  # those of chapter 6

Run = dict[str, Any]


class _Stopped(Exception):
    """The reader pressed Stop."""


@dataclass(frozen=True)
class Choice:
    """What a reader chooses. tau and alpha have no effect in a loss that has none. images: the first so many."""

    data: str = data.EMBEDDED
    loss: str = "contrastive"
    tau: float = 0.2
    alpha: float = 0.3
    seed: int = 0
    images: int = 2000
    epochs: int = 8

    @property
    def steps(self) -> int:
        """Steps of the whole training; an epoch leaves out its last images if they do not fill a batch."""
        return self.epochs * (self.images // BATCH_SIZE)

    def config(self) -> Config:
        """The small encoder of chapter 6, trained as chosen.

        Raises ValueError for a bad temperature, no epoch, or fewer images than a batch.
        """
        if self.images < BATCH_SIZE:
            raise ValueError(
                f"a batch has {BATCH_SIZE} images, got images = {self.images}. Train on that many or more."
            )
        tau, alpha = (getattr(self, name) if name in LOSSES[self.loss] else None for name in ("tau", "alpha"))
        return Config(
            loss=self.loss,
            tau=tau,
            alpha=alpha,
            seed=self.seed,
            epochs=self.epochs,
            width=WIDTH,
            batch_size=BATCH_SIZE,
            lr=LR,
        )


def watch(choice: Choice, report: Callable[[Run], None], after_step: Callable[[], bool]) -> Run:
    """Train as chosen and return the run: the choice, its `end` and the `history` of its numbers.

    Each entry of the history holds epoch, loss (nats, None before training), and uniformity and tolerance of held-out
    images. report: called with the run so far after each epoch, from epoch 0. after_step: called after each step; if it
    returns True the run ends there, as "stopped". Raises what data.load and train raise.
    """
    config, images, test = (
        choice.config(),
        _load(choice.data, "train").subset(choice.images),
        _load(choice.data, "test"),
    )
    test = test.subset(min(TEST_IMAGES, len(test)))
    used = {name: value for name, value in asdict(config).items() if name in ("loss", "tau", "alpha", "seed", "epochs")}
    run: Run = {"data": choice.data, "images": choice.images, **used, "end": "", "history": []}

    def after_epoch(epoch: int, trained: Trained) -> None:
        run["history"].append({"epoch": epoch} | _numbers(trained, test))
        report(run)

    def stop_if_asked() -> None:
        if after_step():
            raise _Stopped

    after_epoch(0, _untrained(config, images))
    try:
        train(config, images, progress=False, after_epoch=after_epoch, after_step=stop_if_asked)
        run["end"] = "finished"
    except _Stopped:
        run["end"] = "stopped"
    return run


def _numbers(trained: Trained, test: Images) -> dict[str, float | None]:
    z = embed(trained, test)[1]  # (n, d)
    return {
        "loss": trained.history[-1] if trained.history else None,
        "uniformity": geometry.uniformity(z),
        "tolerance": geometry.tolerance(z, test.labels),
    }


def _untrained(config: Config, images: Images) -> Trained:
    encoder = encoders.build(config.encoder, images.images.shape[1], config.dim, config.width, seed=config.seed)
    return Trained(encoder, *views.channel_statistics(images.images))


@lru_cache(maxsize=2)  # both splits of one data set
def _load(name: str, split: str) -> Images:
    return data.load(name, split)
