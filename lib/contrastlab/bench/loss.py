"""The loss of two views and its gradient: time against the batch."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from ..losses import contrastive_loss
from ..negatives import in_batch
from ..tiled import tiled_contrastive_loss
from .machine import free_memory
from .measure import MS, Row, compare, interleaved, too_large

TAU, DIM = 0.1, 128
SMALL_TAU = 0.01
ROUNDS = {256: 21, 1024: 9, 4096: 3, 8192: 3}
QUICK_ROUNDS = {256: 7, 1024: 3}
HARDER_AT, QUICK_HARDER_AT = 4096, 1024
OURS, PRODUCTS = "tiled", "two 2N x 2N x d products"
CUBIC = "pytorch-metric-learning NTXentLoss"  # compares each positive pair with each negative one: 2N x (2N)^2
# The 2N x 2N matrices in float32 that each holds at its peak; the machine may be too small for them.
MATRICES = {"plain": 6, "cross-entropy": 3.5, "lightly": 4.5, "pytorch-metric-learning SupConLoss": 12}
CUBES = {CUBIC: 4}
FREE_SHARE = 0.8  # of the memory that can be had; the rest is for what else runs

Loss = Callable[[Tensor, Tensor], Tensor]


def ours() -> dict[str, Loss]:
    """This book's two ways, and cross-entropy over the similarities as most tutorials write it."""
    return {
        OURS: lambda z0, z1: tiled_contrastive_loss(z0, z1, TAU),
        "plain": lambda z0, z1: contrastive_loss(*in_batch(normalize(z0), normalize(z1)), TAU).mean(),
        "cross-entropy": _cross_entropy,
    }


def harder() -> dict[str, Loss]:
    """The tiled loss where each side of a tile needs its own exponentials: at a small tau, and with a learned one."""
    tau = torch.tensor(TAU, requires_grad=True)
    return {
        f"{OURS}, tau = {SMALL_TAU}": lambda z0, z1: tiled_contrastive_loss(z0, z1, SMALL_TAU),
        f"{OURS}, learned tau": lambda z0, z1: tiled_contrastive_loss(z0, z1, tau),
    }


def peers() -> dict[str, Loss]:
    """The same loss as lightly and pytorch-metric-learning compute it."""
    from lightly.loss import NTXentLoss
    from pytorch_metric_learning.losses import NTXentLoss as PairLoss
    from pytorch_metric_learning.losses import SelfSupervisedLoss, SupConLoss

    return {
        "lightly": NTXentLoss(temperature=TAU),
        "pytorch-metric-learning SupConLoss": SelfSupervisedLoss(SupConLoss(temperature=TAU)),
        CUBIC: SelfSupervisedLoss(PairLoss(temperature=TAU)),
    }


def features(n: int) -> tuple[Tensor, Tensor]:
    """Two views of n images as an encoder might give them: (n, DIM) each, of any length."""
    generator = torch.Generator().manual_seed(n)
    z0 = torch.randn(n, DIM, generator=generator)
    return z0.requires_grad_(), (z0.detach() + torch.randn(n, DIM, generator=generator)).requires_grad_()


def measure(quick: bool) -> list[Row]:
    """Forward and backward, and two products of the size that the loss cannot do without."""
    losses = ours() | peers()
    check_agreement(losses)
    rows = []
    for n, rounds in (QUICK_ROUNDS if quick else ROUNDS).items():
        here = losses | (harder() if n == (QUICK_HARDER_AT if quick else HARDER_AT) else {})
        variants, needed = _variants(here, n)
        once = {CUBIC: variants.pop(CUBIC)} if CUBIC in variants else {}  # its seconds are hundreds of the others'
        seconds = interleaved(variants, rounds) | interleaved(once, 1)
        rows += compare("loss", f"N = {n:,}", MS, {name: 1000 * s for name, s in seconds.items()}, OURS)
        rows += too_large("loss", f"N = {n:,}", MS, needed)
    return rows


def _variants(losses: dict[str, Loss], n: int) -> tuple[dict[str, Callable[[], None]], dict[str, float]]:
    """A step of each loss that this machine's memory holds, and the bytes that each of the others needs."""
    z0, z1 = features(n)
    needed = {name: needs(name, n) for name in losses if not fits(name, n)}
    steps = {name: lambda loss=loss: loss(z0, z1).backward() for name, loss in losses.items() if name not in needed}
    return steps | {PRODUCTS: lambda: _two_products(z0, z1)}, needed


def needs(name: str, n: int) -> float:
    """Bytes that the loss of that name holds at its peak for a batch of n images."""
    return 4.0 * (MATRICES.get(name, 0) * (2 * n) ** 2 + CUBES.get(name, 0) * (2 * n) ** 3)


def fits(name: str, n: int) -> bool:
    """Whether this machine has the memory for it."""
    return needs(name, n) < FREE_SHARE * free_memory()


def check_agreement(losses: dict[str, Loss], n: int = 64) -> None:
    """Raise ValueError unless all losses and their gradients agree: only then is it fair to compare their time."""
    expected = _gradient(losses["cross-entropy"], n)
    for name, loss in losses.items():
        error = (_gradient(loss, n) - expected).norm() / expected.norm()
        if not error < 1e-4:
            raise ValueError(f"{name} computes another loss than cross-entropy: its gradient is off by {error:.1e}.")


def _gradient(loss: Loss, n: int) -> Tensor:
    return torch.cat(torch.autograd.grad(loss(*(z := features(n))), z))


def _cross_entropy(z0: Tensor, z1: Tensor) -> Tensor:
    z = normalize(torch.cat([z0, z1]))
    itself = torch.eye(len(z), dtype=torch.bool)
    return cross_entropy((z @ z.T / TAU).masked_fill(itself, float("-inf")), torch.arange(len(z)).roll(len(z0)))


@torch.no_grad()
def _two_products(z0: Tensor, z1: Tensor) -> None:
    z = torch.cat([z0, z1])
    for rows in z.split(1024):
        (rows @ z.T) @ z
