"""The contrastive loss of two views for large batches, one tile of the 2N x 2N similarities at a time.

The plain way, contrastive_loss(*in_batch(z0, z1), tau), keeps several such matrices for its gradient. But the gradient
is known in closed form (Eq. 4, chapter 3): its entries G are the probabilities P of Eq. 2 over tau, which a similarity
gives back once its anchor's sum of exponentials is known. So the forward pass keeps that sum, A, and the backward pass
forms each tile again and spends it at once:

    A_i = sum_j exp(s_ij / tau)    L_i = log(1 + A_i exp(-s_pos / tau))    G_ij = P_ij / tau    dL/dz = (G + G^T) z

As s_ij = s_ji, both passes visit half of the tiles: each serves the anchors of its rows and of its columns. That is the
work of two 2N x 2N x d products, where autograd does three, and of the exponentials.

An exponential turns an error of s into one of s / tau. For a small tau a tile's similarities are therefore formed in
float64, and go down to float32 when what is left of them is their distance to the anchor's nearest negative.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import softplus

from .checks import check_temperature, check_views
from .names import one_of
from .precision import no_autocast

REDUCTIONS = {"mean": Tensor.mean, "sum": Tensor.sum, "none": Tensor.clone}
TILE = 384  # views a tile: 0.6 MB of similarities in float32, which a processor's cache holds
GENTLE = 1 / 32  # from this temperature on, exp((s - 1) / tau) of any cosine fits float32 and keeps its digits
LOG2_E = math.log2(math.e)  # exp(x) = 2^(x log2 e): on some processors PyTorch's exp2 is four times as fast as its exp

Side = tuple[int, int]  # a tile of anchors, and the dimension of s along which their negatives lie


def tiled_contrastive_loss(
    z0: Tensor, z1: Tensor, tau: float | Tensor, reduction: str = "mean", *, tile: int = TILE
) -> Tensor:
    """Eq. 1 for each of 2N views against the 2N - 2 views of other images, in memory that grows with N, not N^2.

    Equals contrastive_loss(*in_batch(normalize(z0), normalize(z1)), tau), reduced over the 2N anchors.
    z0, z1: (N, d) features of any length, row i of both from image i, N >= 2. Half precision is computed in float32.
    Where tau is below GENTLE, similarities are float64: so value and gradients are within 1e-5 for tau from 0.001 to
    10. On a device without float64 a similarity's rounding changes its weight by up to 1e-7 / tau.
    tau: a number; or a tensor, which can be learned: one for all, (N,) one an image, or (2N,) one a view, z0's first.
    reduction: "mean", "sum" or "none". tile: views a tile; it changes time and memory only.
    Returns a scalar, or (2N,) for "none". There are first derivatives only. Raises ValueError for views of different
    shape, embeddings without direction, an impossible tau, an unknown reduction or a tile without views.
    """
    one_of(reduction, REDUCTIONS, "reduction")
    check_views(z0, z1)
    if tile < 1:
        raise ValueError(f"a tile must hold at least one view, got tile = {tile}. Leave it out, or try 256 to 1024.")
    with no_autocast(z0):
        tau = _temperature(tau, z0, z1)
        return REDUCTIONS[reduction](_TiledLoss.apply(z0, z1, tau, tile, is_small(tau)))


def is_small(tau: float | Tensor) -> bool:
    """Whether a temperature is below GENTLE."""
    return bool((tau.min() if isinstance(tau, Tensor) else tau) < GENTLE)


def _temperature(tau: float | Tensor, z0: Tensor, z1: Tensor) -> float | Tensor:
    """tau as a number, or as a tensor with one a view (2N,)."""
    if not isinstance(tau, Tensor):
        check_temperature(tau)
        return float(tau)
    n = len(z0)
    if tau.numel() != 1 and tau.shape not in ((n,), (2 * n,)):
        expected = f"one tau for all, ({n},) with one an image or ({2 * n},) with one a view"
        raise ValueError(f"expected {expected}, got a tensor of shape {tuple(tau.shape)}")
    check_temperature(tau.min())
    check_temperature(tau.max())
    if tau.numel() == 1 and not tau.requires_grad:
        return tau.item()
    return tau.to(_full(z0, z1)).to(z0.device).reshape(-1).repeat(2 * n // tau.numel())


class _TiledLoss(Function):
    """z0 (N, d), z1 (N, d), tau -> L (2N,)."""

    @staticmethod
    def forward(ctx, z0: Tensor, z1: Tensor, tau: float | Tensor, tile: int, exact: bool) -> Tensor:
        views, ctx.tile, ctx.tau, ctx.exact = Views(z0, z1, tile, exact), tile, tau, exact
        ctx.save_for_backward(z0, z1)
        if isinstance(tau, Tensor):
            ctx.save_for_backward(z0, z1, tau)
            ctx.tau = tau.detach()
        ctx.exponentials = Exponentials(views, ctx.tau)
        for _, _, s, sides in views.pairs():
            ctx.exponentials.add(s, sides)
        A, top = torch.cat(ctx.exponentials.A), torch.cat(ctx.exponentials.top)
        ctx.lead = A.to(top.dtype).log() + (top - views.positives()) / ctx.tau
        return softplus(ctx.lead, threshold=60).to(views.dtype)  # log(1 + exp lead), as in losses.py

    @staticmethod
    def backward(ctx, upstream: Tensor) -> tuple[Tensor | None, ...]:
        z0, z1, *tau = ctx.saved_tensors
        with torch.no_grad(), no_autocast(z0):
            views = Views(z0, z1, ctx.tile, ctx.exact)
            pull = upstream * ctx.lead.sigmoid() / ctx.tau  # (2N,), Eq. 4: (1 - P_pos) / tau
            dz0, dz1 = (torch.zeros_like(z, dtype=views.dtype) for z in (z0, z1))
            moment = _gradients(views, views.split(dz0, dz1), ctx.exponentials, pull)
            gradients = [dz0, dz1, *([-moment.to(views.dtype) / ctx.tau] if tau else [])]
        if torch.is_grad_enabled():  # create_graph=True: somebody may differentiate again
            gradients = [NoSecond.apply(gradient, upstream, *ctx.saved_tensors) for gradient in gradients]
        return *gradients, *[None] * (5 - len(gradients))


class NoSecond(Function):
    """A gradient that says what to do instead when it is itself differentiated."""

    @staticmethod
    def forward(ctx, gradient: Tensor, *inputs: Tensor) -> Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx, upstream: Tensor) -> None:
        raise RuntimeError(
            "tiled_contrastive_loss has no second derivatives: its gradient is a formula, not a graph. "
            "Use contrastive_loss(*in_batch(normalize(z0), normalize(z1)), tau), which has them."
        )


def _gradients(views: "Views", dz: list[Tensor], exponentials: "Exponentials", pull: Tensor) -> Tensor:
    """Fill dz with the features' gradients, where dL/ds_pos = -pull (2N,). Returns sum_j G_ij (s_ij - top_i) (2N,)."""
    distance = views.positives() - torch.cat(exponentials.top)
    moment = views.split(*(-pull * distance).chunk(2))  # the positive's term; weigh adds those of the others
    pulls = views.split(*pull.to(views.dtype).chunk(2))
    weight = [part / A for part, A in zip(pulls, exponentials.A, strict=True)]  # of an exponential in G
    for z_t, z_u, s, sides in views.pairs():
        t, u = sides[0][0], sides[-1][0]
        G = exponentials.weigh(s, sides, weight, moment)
        if u == t + views.half:
            G.diagonal().sub_(pulls[t] + pulls[u])  # of each view on the other
        z_t, z_u = z_t.to(G.dtype), z_u.to(G.dtype)
        dz[t].addmm_(G, z_u)  # the anchors of the rows: (b, b') @ (b', d)
        dz[u].addmm_(G.T, z_t)  # those of the columns; where u = t, of the same: there G^T is not in G yet
    for t, gradient in enumerate(dz):
        views.to_features_(gradient, t)
    return torch.cat(moment)


class Views:
    """The 2N views h in tiles, each of one view of some images. A tile is normalised when it is used, and not kept."""

    def __init__(self, z0: Tensor, z1: Tensor, tile: int | list[int], exact: bool) -> None:
        """tile: views a tile, or the views of each tile of z0, the same in z1. exact: z, s in float64, if possible."""
        self.tile = tile
        self.dtype = _full(z0, z1)  # of exponentials and gradients
        self.s_dtype = torch.float64 if exact and has_float64(z0.device) else self.dtype
        self.h = self.split(z0, z1)
        self.half = len(self.h) // 2  # tiles t and t + half hold the two views of the same images
        self.lengths = [_length(h.to(self.s_dtype)) for h in self.h]

    def split(self, x0: Tensor, x1: Tensor) -> list[Tensor]:
        """The parts of x0 and x1 (N, ...) that belong to the tiles; they share its memory."""
        return [*x0.split(self.tile), *x1.split(self.tile)]

    def unit(self, t: int) -> Tensor:
        """The unit vectors z of tile t: (b, d)."""
        return self.h[t].to(self.s_dtype) / self.lengths[t]

    def to_features_(self, gradient: Tensor, t: int) -> None:
        """Turn dL/dz of tile t into dL/dh in place: z = h / |h|, so dL/dh = (I - z z^T) dL/dz / |h|."""
        z = self.unit(t)
        gradient.sub_((z * gradient).sum(dim=1, keepdim=True) * z).div_(self.lengths[t])

    def positives(self) -> Tensor:
        """s_pos (2N,)."""
        return torch.cat([(self.unit(t) * self.unit(t + self.half)).sum(dim=1) for t in range(self.half)] * 2)

    def pairs(self) -> Iterator[tuple[Tensor, Tensor, Tensor, list[Side]]]:
        """Each two tiles once: their z (b, d) and (b', d), s (b, b') with self and positive masked, and its sides."""
        for t in range(len(self.h)):
            z_t = self.unit(t)
            for u in range(t, len(self.h)):
                z_u = self.unit(u)
                s = z_t @ z_u.T  # (b, d) @ (d, b') -> (b, b')
                if u in (t, t + self.half):
                    mask_(s)
                yield z_t, z_u, s, [(t, 1)] if u == t else [(t, 1), (u, 0)]


def _full(z0: Tensor, z1: Tensor) -> torch.dtype:
    """The finer precision of both views, float32 at least."""
    return torch.promote_types(torch.promote_types(z0.dtype, z1.dtype), torch.float32)


def has_float64(device: torch.device) -> bool:
    """Whether the device can compute in float64."""
    return device.type != "mps"  # Apple's GPUs


def mask_(s: Tensor) -> None:
    """Mask the diagonal of a tile of the same images: entry k of row k is its self or its positive."""
    s.fill_diagonal_(torch.finfo(torch.float32).min)  # finite also when s goes down to float32


def _length(h: Tensor) -> Tensor:
    """|h| of each row, by way of its largest entry, so that no square underflows or overflows: (b, d) -> (b, 1)."""
    largest = h.abs().amax(dim=1, keepdim=True)
    return largest * (h / largest).norm(dim=1, keepdim=True)


class Exponentials:
    """exp((s - top) / tau) and each anchor's sum of them, A. Its nearest negative so far is its top: nothing overflows.

    One tau for all that is not small can do with top = 1, and then s_ij = s_ji makes their exponentials equal.
    """

    def __init__(self, views: Views, tau: float | Tensor) -> None:
        self.own_tau = isinstance(tau, Tensor)
        self.shared = not self.own_tau and not is_small(tau)
        self.A = [torch.zeros_like(length[:, 0], dtype=views.dtype) for length in views.lengths]
        self.top = [torch.full_like(length[:, 0], 1.0 if self.shared else -2.0) for length in views.lengths]
        self.rate = views.split(*(LOG2_E / tau).chunk(2)) if self.own_tau else [A + LOG2_E / tau for A in self.A]

    def add(self, s: Tensor, sides: list[Side]) -> None:
        """Add a tile to A, once A is put in terms of the nearest negative that is then known."""
        for t, dim in sides if not self.shared else []:
            before, self.top[t] = self.top[t], torch.maximum(self.top[t], s.amax(dim))
            self.A[t] *= ((before - self.top[t]) * self.rate[t]).exp2_()
        for (t, dim), E in zip(sides, self._of(s, sides), strict=True):
            self.A[t] += E.sum(dim)

    def weigh(self, s: Tensor, sides: list[Side], weight: list[Tensor], moment: list[Tensor]) -> Tensor:
        """The tile of G + G^T, or of G on the diagonal. Adds to moment, where views have their own tau."""
        E = self._of(s, sides)
        if self.shared:
            return E[0].mul_(sum(weight[t].unsqueeze(dim) for t, dim in sides))
        for (t, dim), G in zip(sides, E, strict=True):
            G.mul_(weight[t].unsqueeze(dim))
            if self.own_tau:
                moment[t] += self._below_top(s, t, dim).mul_(G).sum(dim)
        return E[0] if len(E) == 1 else E[0].add_(E[1])

    def _of(self, s: Tensor, sides: list[Side]) -> list[Tensor]:
        """The tile's exponentials for each of its sides."""
        each = sides[:1] if self.shared else sides
        E = [self._below_top(s, t, dim).mul_(self.rate[t].unsqueeze(dim)).exp2_() for t, dim in each]
        return E * len(sides) if self.shared else E

    def _below_top(self, s: Tensor, t: int, dim: int) -> Tensor:
        """s - top, subtracted in the precision of s: what is left is small where the exponential is not."""
        return (s - self.top[t].unsqueeze(dim)).to(self.A[t].dtype)
