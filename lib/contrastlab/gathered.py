"""Negatives from all processes: the other views of a batch that they share, or a memory bank that they share.

Each process has only its own images as anchors. The mean of their loss, averaged over the processes, is the loss of the
whole batch, and the gradients that DistributedDataParallel averages make the gradient of the whole batch.
"""

import torch
from torch import Tensor

from . import distributed
from .checks import check_views
from .negatives import MemoryBank, in_batch


def gathered_in_batch(z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of in_batch that belong to this process: its 2n views against all 2N views of the W processes, N = W n.

    z0, z1: (n, d) unit vectors, row i of both from image i; n must be alike everywhere (distributed.check_share).
    Returns s_pos (2n,) and s_neg (2n, 2N - 2), negatives in the order of in_batch. Alone it is in_batch. Raises
    ValueError as in_batch does.
    """
    if distributed.world_size() == 1:
        return in_batch(z0, z1)
    check_views(z0, z1)
    all_z = torch.cat([distributed.gather(z0), distributed.gather(z1)])  # (2N, d)
    n, N = len(z0), len(all_z) // 2
    s = torch.cat([z0, z1]) @ all_z.T  # (2n, d) @ (d, 2N) -> (2n, 2N)
    column = torch.arange(2 * N, device=s.device)
    own = distributed.rank() * n + column[:n]
    anchor = torch.cat([own, own + N])  # which of all views each row is
    # Roll view i's row left by i, as in_batch does: then it and its partner are columns 0 and N of every row.
    rolled = s.gather(1, (anchor[:, None] + column) % (2 * N))
    return rolled[:, N], torch.cat([rolled[:, 1:N], rolled[:, N + 1 :]], dim=1)


class SharedBank(MemoryBank):
    """A memory bank of which each of W processes keeps n / W entries; alone it is the memory bank.

    A step with B images passes B n / W similarities from each process to the others, and compares each image with all n
    entries: the loss sees what one process with the whole bank would show it.
    """

    def __init__(self, n: int, d: int, *, momentum: float = 0.5, generator: torch.Generator | None = None) -> None:
        """As MemoryBank, which starts alike: every process draws all n directions, then keeps its own."""
        super().__init__(n, d, momentum=momentum, generator=generator)
        self.n = n
        self.fill(self.z)

    def fill(self, whole: Tensor) -> None:
        """Set the entries of all images (n, d). This process keeps its own, on the device where it had them."""
        size = -(-self.n // distributed.world_size())  # the last entries of the last process may stay empty
        self.start = distributed.rank() * size
        kept = whole.new_zeros(size, whole.shape[1])
        own = whole[self.start : self.start + size]
        kept[: len(own)] = own
        self.z = kept.to(self.z.device)

    def whole(self) -> Tensor:
        """The entries of all images (n, d), on every process."""
        return distributed.collect(self.z)[: self.n]

    def to_all(self, z: Tensor) -> Tensor:
        """Similarities of this process's z (b, d) to the entries of all processes: (b, n)."""
        to_own_entries = distributed.gather(z) @ self.z.T  # (B, d) @ (d, n / W) -> (B, n / W)
        return distributed.exchange(to_own_entries)[:, : self.n]

    @torch.no_grad()
    def update(self, z: Tensor, index: Tensor) -> None:
        """Move the entries of all processes' images, number index (b,) here, towards their z (b, d)."""
        z, index = distributed.collect(z), distributed.collect(index) - self.start
        here = (index >= 0) & (index < len(self.z))
        super().update(z[here], index[here])
