"""The tiled loss of several processes: each one's views against the views of all, and nowhere an N x N matrix.

A process keeps the features of all (2N, d), the sums A of its own 2n anchors, and one tile at a time. In the gradient
of its own views are the probabilities G_ij of other views, and the G_ji with which its views repel anchors elsewhere.
A similarity gives both back once A_j and dL/ds_pos are known, so two numbers a view pass between the processes, where
adding up everybody's gradients for everybody would pass d:

    dL/dz_i = sum_j (G_ij + G_ji) z_j    for the process's own i, over all j

Each similarity is formed once in the forward pass and once in the backward pass: the work of three 2n x 2N x d
products. Alone, the tiled loss does it in two thirds of that, because it can use s_ij = s_ji in both passes.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import softplus

from . import distributed
from .checks import check_temperature, check_views
from .precision import no_autocast
from .tiled import TILE, Exponentials, NoSecond, Views, is_small, mask_, tiled_contrastive_loss


def gathered_tiled_loss(z0: Tensor, z1: Tensor, tau: float, *, tile: int = TILE) -> Tensor:
    """Mean over this process's 2n anchors of their loss (Eq. 1) against the 2N - 2 views of all W processes, N = W n.

    Equals contrastive_loss(*gathered_in_batch(normalize(z0), normalize(z1)), tau).mean(), also in its gradients, which
    reach the features of all processes: every process must call backward, and their mean is the whole batch's gradient.
    z0, z1: (n, d) features of any length, row i of both from image i, n alike everywhere. tau: a number, not learned.
    Returns a scalar. Raises ValueError as tiled_contrastive_loss does, and on every process for unequal n or d.
    """
    if distributed.world_size() == 1:
        return tiled_contrastive_loss(z0, z1, tau, tile=tile)
    check_views(z0, z1)
    check_temperature(tau)
    _check_shares(z0)
    with no_autocast(z0):
        return _GatheredTiledLoss.apply(z0, z1, float(tau), tile).mean()


def _check_shares(z: Tensor) -> None:
    """Raise ValueError on every process unless all have as many rows and columns: a gather would crash or mix them up.

    Two numbers a process pass for it, beside the d a view that the loss needs.
    """
    shapes = distributed.collect(torch.tensor([z.shape], device=z.device)).tolist()
    for process, (n, d) in enumerate(shapes):
        if [n, d] != shapes[0]:
            raise ValueError(
                f"process {process} has features of {n} images, ({n}, {d}), and process 0 of {shapes[0][0]}, "
                f"{tuple(shapes[0])}. Each must have as many as the others: share a batch with distributed.share, and "
                "leave out the last one if it is smaller."
            )


class Share(NamedTuple):
    """What one of several processes needs for the loss of a batch and its gradient: forecast by forecast_share."""

    seconds: float  # of one thread
    mebibytes: float  # features of all, own gradients, numbers a view, and a tile
    mebibytes_plain: float  # of one (2n, 2N) matrix of similarities, of which the plain loss keeps several


def forecast_share(images: int, processes: int, d: int = 128, tau: float = 0.1, tile: int = TILE) -> Share:
    """Measure one tile of anchors against all 2N views of a batch of that many images, and scale it to a process's 2n.

    The work is the same for every tile of anchors, so the forecast is exact but for what passes between processes, and
    for a machine that slows down when all its cores work.
    """
    all_z0, all_z1 = torch.randn(2, images, d, generator=torch.Generator().manual_seed(0)).unbind()
    rows = Rows(all_z0, all_z1, tau, tile, processes, 0)
    pulls = rows.split(torch.full((2 * images,), 0.5 / (images * tau)))
    first, own = rows.own[:1], 2 * (images // processes)
    start = time.thread_time()
    rows.add(first)
    rows.exponentials.A = [A + rows.exponentials.A[0].mean() for A in rows.exponentials.A]  # as if gathered
    rows.gradients(first, pulls)
    seconds = (time.thread_time() - start) * own / len(pulls[0])
    exact = is_small(tau)  # then s, lengths, top and what is computed from them are float64
    a_view, tiles = (12, 5) if exact else (8, 2)  # a view: lengths, A, top, rate, pull, weight, ...
    numbers = 2 * images * d + own * d + a_view * 2 * images + tiles * tile**2
    return Share(seconds, 4 * numbers / 2**20, 4 * own * 2 * images / 2**20)


class Rows:
    """The tiles of one process's anchors among those of all: which they are, their sums A, and their gradients."""

    def __init__(self, all_z0: Tensor, all_z1: Tensor, tau: float, tile: int, processes: int, number: int) -> None:
        """all_z0, all_z1: (N, d), N / processes rows of each process. No tile holds views of two processes."""
        n = len(all_z0) // processes
        sizes = [min(tile, n - start) for start in range(0, n, tile)]
        self.views = Views(all_z0, all_z1, sizes * processes, is_small(tau))
        self.exponentials = Exponentials(self.views, tau)
        first = [number * len(sizes) + t for t in range(len(sizes))]
        self.own = first + [self.views.half + t for t in first]

    def split(self, x: Tensor) -> list[Tensor]:
        """What belongs to each tile of x (2N, ...)."""
        return self.views.split(*x.chunk(2))

    def of_own(self, parts: list[Tensor]) -> Tensor:
        """This process's anchors' (2n,) of what belongs to each tile."""
        return torch.cat([parts[t] for t in self.own])

    def add(self, own: list[int]) -> None:
        """Sum the exponentials of the tiles' anchors over all views."""
        for t in own:
            for _, s in self._row(t):
                self.exponentials.add(s, [(t, 1)])

    def gradients(self, own: list[int], pulls: list[Tensor]) -> list[Tensor]:
        """The gradients of the tiles' features: (b, d) each. Needs the A, and the pulls -dL/ds_pos, of all anchors."""
        weight = [pull / A for pull, A in zip(pulls, self.exponentials.A, strict=True)]
        return [self._gradient(t, pulls, weight) for t in own]

    def _gradient(self, t: int, pulls: list[Tensor], weight: list[Tensor]) -> Tensor:
        dz = torch.zeros_like(self.views.h[t], dtype=self.views.dtype, memory_format=torch.contiguous_format)
        for u, s in self._row(t):
            G = self.exponentials.weigh(s, [(t, 1), (u, 0)], weight, [])  # G + G^T
            if u == self._partner(t):
                G.diagonal().sub_(pulls[t] + pulls[u])  # of each view on the other
            dz.addmm_(G, self.views.unit(u).to(G.dtype))  # (b, b') @ (b', d)
        self.views.to_features_(dz, t)
        return dz

    def _row(self, t: int) -> Iterator[tuple[int, Tensor]]:
        """Every tile u and the similarities s (b, b') of t to it, with self and positive masked."""
        z_t = self.views.unit(t)
        for u in range(len(self.views.h)):
            s = z_t @ self.views.unit(u).T
            if u in (t, self._partner(t)):
                mask_(s)
            yield u, s

    def _partner(self, t: int) -> int:
        return (t + self.views.half) % (2 * self.views.half)


class _GatheredTiledLoss(Function):
    """z0 (n, d), z1 (n, d), tau -> L (2n,) of this process's anchors."""

    @staticmethod
    def forward(ctx, z0: Tensor, z1: Tensor, tau: float, tile: int) -> Tensor:
        all_z0, all_z1 = distributed.collect(z0), distributed.collect(z1)
        rows = Rows(all_z0, all_z1, tau, tile, distributed.world_size(), distributed.rank())
        rows.add(rows.own)
        ctx.save_for_backward(z0, z1)
        ctx.rows, ctx.tau = rows, tau
        ctx.A, ctx.top = rows.of_own(rows.exponentials.A), rows.of_own(rows.exponentials.top)
        ctx.lead = ctx.A.to(ctx.top.dtype).log() + (ctx.top - rows.of_own(rows.split(rows.views.positives()))) / tau
        return softplus(ctx.lead, threshold=60).to(rows.views.dtype)  # log(1 + exp lead), as in losses.py

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        with torch.no_grad(), no_autocast(upstream):
            rows = ctx.rows
            pull = (upstream * ctx.lead.sigmoid() / ctx.tau).to(ctx.A.dtype)  # (2n,), Eq. 4: (1 - P_pos) / tau
            pulls, rows.exponentials.A, rows.exponentials.top = (rows.split(_of_all(x)) for x in (pull, ctx.A, ctx.top))
            gradients = torch.cat(rows.gradients(rows.own, pulls)).chunk(2)
        if torch.is_grad_enabled():  # create_graph=True: somebody may differentiate again
            gradients = [NoSecond.apply(gradient, upstream, *ctx.saved_tensors) for gradient in gradients]
        return *gradients, None, None


def _of_all(x: Tensor) -> Tensor:
    """One number a view of each process (2n,), z0's first, to that of all views (2N,), z0's first."""
    return torch.cat([distributed.collect(half) for half in x.chunk(2)])
