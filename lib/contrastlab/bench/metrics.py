"""The geometry of an embedding: time for many points."""

import time

import torch
from torch.nn.functional import normalize

from .. import geometry
from .measure import SECONDS, Row, compare, interleaved

POINTS, PAIRS_OF, ROUNDS = 50_000, 10_000, 3
QUICK_POINTS, QUICK_PAIRS_OF = 5_000, 2_000
DIM, CLASSES = 128, 10


def measure(quick: bool) -> list[Row]:
    """Uniformity and tolerance, and uniformity as its authors' code has it, which keeps all pairs in memory."""
    n, few = (QUICK_POINTS, QUICK_PAIRS_OF) if quick else (POINTS, PAIRS_OF)
    z = normalize(torch.randn(n, DIM, generator=torch.Generator().manual_seed(0)))
    labels = torch.arange(n) % CLASSES
    part = z[:few]
    if abs(geometry.uniformity(part) - _all_pairs(part)) > 1e-4:
        raise ValueError("uniformity differs from that of all pairs, so that their times cannot be compared")
    variants = {"uniformity": lambda: geometry.uniformity(part), "uniformity by pdist": lambda: _all_pairs(part)}
    rows = compare("metrics", f"n = {few:,}", SECONDS, interleaved(variants, ROUNDS), "uniformity")
    for name, metric in {
        "uniformity": lambda: geometry.uniformity(z),
        "tolerance": lambda: geometry.tolerance(z, labels),
    }.items():
        seconds = interleaved({name: metric}, 1 if quick else ROUNDS, time.thread_time)
        rows.append(Row("metrics", f"n = {n:,}", name, seconds[name], SECONDS))
    return rows


def _all_pairs(z: torch.Tensor) -> float:
    return -torch.pdist(z).pow(2).mul(-2).exp().mean().log().item()
