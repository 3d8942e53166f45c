"""Where negatives come from: the other views in the batch, or a memory bank of all images."""

import torch
from torch import Tensor

from .checks import check_views


def in_batch(z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """Two views of N images: each of the 2N views is an anchor, with the 2N - 2 views of other images as negatives.

    z0, z1: (N, d) unit vectors, row i of both from image i, N >= 2. Returns s_pos (2N,) and s_neg (2N, 2N - 2).
    Raises ValueError for views of different shape, a single image, or embeddings without direction.
    """
    check_views(z0, z1)
    n = len(z0)
    z = torch.cat([z0, z1])
    s = z @ z.T  # (2N, d) @ (d, 2N) -> (2N, 2N)
    s_pos = torch.cat([s.diagonal(n), s.diagonal(-n)])  # (2N,)
    # Row i of [s, s], read from column i on, begins with view i itself and has its partner n columns later. The n - 1
    # entries after each of the two are the negatives; strides reach them without an index of 2N x 2N entries.
    twice = torch.cat([s, s], dim=1)  # (2N, 4N)
    s_neg = twice.as_strided((2 * n, 2, n - 1), (4 * n + 1, n, 1), storage_offset=1)  # (2N, 2, N - 1)
    return s_pos, s_neg.reshape(2 * n, 2 * n - 2)


class MemoryBank:
    """One remembered unit vector for every training image: the positive of its image, and a negative of all others.

    After Wu et al. (CVPR 2018): z_bank <- normalise(momentum * z_bank + (1 - momentum) * z). The paper names the bank
    and its exponential moving average but not the momentum; 0.5 is the value of Wu et al.'s public code.
    """

    def __init__(self, n: int, d: int, *, momentum: float = 0.5, generator: torch.Generator | None = None) -> None:
        """n images in d dimensions, at random directions drawn on the CPU (so that every device starts alike)."""
        if not 0 <= momentum < 1:
            raise ValueError(f"the bank's momentum must be in [0, 1), got {momentum:g}; 0 keeps the newest vector only")
        self.momentum = momentum
        self.z = torch.nn.functional.normalize(torch.randn(n, d, generator=generator), dim=1)

    def to(self, device: torch.device | str) -> "MemoryBank":
        """Move the remembered vectors to a device and return the bank."""
        self.z = self.z.to(device)
        return self

    def similarities(self, z: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """s_pos (B,) with each image's own entry and s_neg (B, n - 1) with all others.

        z: (B, d) unit vectors of the images number index (B,). Gradients reach z, not the bank.
        """
        s = self.to_all(z)  # (B, n)
        own = index[:, None]
        # The last column moves into the own entry's place, so that the others are one contiguous block.
        return s.gather(1, own)[:, 0], s.scatter(1, own, s[:, -1:])[:, :-1]

    def to_all(self, z: Tensor) -> Tensor:
        """Similarities of z (B, d) to every entry: (B, n)."""
        return z @ self.z.T  # (B, d) @ (d, n) -> (B, n)

    @torch.no_grad()
    def update(self, z: Tensor, index: Tensor) -> None:
        """Move the entries number index (B,) towards z (B, d)."""
        mixed = self.momentum * self.z[index] + (1 - self.momentum) * z.to(self.z.dtype)
        self.z[index] = torch.nn.functional.normalize(mixed, dim=1)
