"""A whole step of training: views, encoder, loss, gradient, update."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from statistics import median
from unittest import mock

import torch
from torch import Tensor

from .. import encoders, train
from ..compiling import CompilerMissing
from ..config import Config
from ..data import Images
from ..train import Trained
from . import loss, views
from .measure import RATE, SECONDS, Row, compare, with_workers

IMAGES, ROUNDS = 2048, 3
QUICK_IMAGES, QUICK_ROUNDS = 512, 1
CONFIG = Config(epochs=2, batch_size=views.BATCH, tau=loss.TAU)
OURS = "this book"
SETTING = f"small encoder, batch {views.BATCH}"


def measure(quick: bool) -> list[Row]:
    """Views a second of one core for an epoch of this book's training, and of loops around the peers' parts.

    Of all of them the second epoch counts: building the encoder, and what is loaded in the first step, happen once.
    """
    images = views.some_images(QUICK_IMAGES if quick else IMAGES)
    variants = _ours(images) | _peers(images)
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(QUICK_ROUNDS if quick else ROUNDS):
        for name, epoch in variants.items():
            seconds[name].append(epoch())
    rates = {name: 2 * len(images) / median(each) for name, each in seconds.items()}
    return compare("step", SETTING, RATE, rates, OURS) + _compiled(images, rates[OURS])


def epochs(config: Config, images: Images, compile: bool = False) -> tuple[Trained, list[float]]:
    """What train() makes of the images, and the CPU seconds of each epoch; the first has all that happens once."""
    times = [with_workers()]
    trained = train.train(
        config,
        images,
        device="cpu",
        progress=False,
        compile=compile,
        after_epoch=lambda *_: times.append(with_workers()),
    )
    return trained, [end - start for start, end in pairwise(times)]


def _ours(images: Tensor) -> dict[str, Callable[[], float]]:
    """Seconds of an epoch of train() as it is, and as it is where bfloat16 is slow."""
    if not train.fast_bfloat16(torch.device("cpu")):
        return {OURS: lambda: _last_epoch(images)}
    return {OURS: lambda: _last_epoch(images), f"{OURS}, float32": lambda: _last_epoch(images, bfloat16=False)}


def _peers(images: Tensor) -> dict[str, Callable[[], float]]:
    """Seconds of an epoch with views and loss of others, in float32 as their guides have it."""
    pipelines, losses = views.pipelines(), loss.ours() | loss.peers()
    parts = {
        views.TORCHVISION: (pipelines[views.TORCHVISION], losses["cross-entropy"]),
        views.KORNIA: (pipelines[views.KORNIA], losses["cross-entropy"]),
        f"{views.LIGHTLY} and its loss": (pipelines[views.LIGHTLY], losses["lightly"]),
    }
    return {
        name: lambda make=make, criterion=criterion: _loop(lambda: make(images), criterion)[-1]
        for name, (make, criterion) in parts.items()
    }


def _compiled(images: Tensor, uncompiled: float) -> list[Row]:
    """What torch.compile buys: the first epoch, in which it compiles, and the rate after it."""
    try:
        _, (first, *others) = epochs(replace(CONFIG, epochs=4), labelled(images), compile=True)
    except CompilerMissing as error:
        print(f"no compiled step: {error}", flush=True)
        return []
    rate = 2 * len(images) / median(others)
    return [
        Row("step", SETTING, f"{OURS}, compiled", rate, RATE, uncompiled / rate),
        Row("step", SETTING, f"{OURS}, compiled: first epoch", first, SECONDS),
    ]


def _last_epoch(images: Tensor, bfloat16: bool = True) -> float:
    with nullcontext() if bfloat16 else mock.patch.object(train, "fast_bfloat16", return_value=False):
        return epochs(CONFIG, labelled(images))[1][-1]


def labelled(images: Tensor) -> Images:
    """The images as train() takes them."""
    return Images(images, torch.zeros(len(images), dtype=torch.int64), ("noise",), "noise")


def _loop(epoch: Callable[[], Iterable[tuple[Tensor, Tensor]]], criterion: loss.Loss) -> list[float]:
    """Seconds of each epoch of a loop as tutorials write it, with this book's encoder and optimiser."""
    times = [with_workers()]
    encoder = encoders.build(CONFIG.encoder, 3, CONFIG.dim, CONFIG.width, seed=0).train()
    optimiser = torch.optim.SGD(
        encoder.parameters(), lr=CONFIG.lr, momentum=CONFIG.momentum, weight_decay=CONFIG.weight_decay
    )
    for _ in range(CONFIG.epochs):
        for x0, x1 in epoch():
            value = criterion(encoder(x0), encoder(x1))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        times.append(with_workers())
    return [end - start for start, end in pairwise(times)]
