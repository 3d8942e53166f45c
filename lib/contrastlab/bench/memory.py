"""How far memory rises above the inputs, each variant in a process of its own: `python -m contrastlab.bench.memory`."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from .. import geometry
from . import loss
from .measure import MB, Row, compare

LOSSES = ("tiled", "plain", "cross-entropy", "lightly", "pytorch-metric-learning SupConLoss")
SIZE, LARGE, POINTS = 4096, 8192, 50_000


def measure(quick: bool) -> list[Row]:
    """Peak memory of the losses with their gradients, and of uniformity over many points."""
    if sys.platform == "win32":
        print("no memory part: Windows tells no peak that a fresh process could read", flush=True)
        return []
    n = SIZE // 4 if quick else SIZE
    rows = compare("memory", f"loss, N = {n:,}", MB, {name: rise(name, n) for name in LOSSES}, "tiled")
    if not quick:
        rows.append(Row("memory", f"loss, N = {LARGE:,}", "tiled", rise("tiled", LARGE), MB))
        rows.append(Row("memory", f"uniformity, n = {POINTS:,}", "uniformity", rise("uniformity", POINTS), MB))
    return rows


def rise(name: str, n: int) -> float:
    """MB by which the peak of a fresh process grows while it computes."""
    command = [sys.executable, "-m", __name__, name, str(n)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def task(name: str) -> Callable[[torch.Tensor, torch.Tensor], object]:
    """What the name stands for, as a function of two views."""
    if name == "uniformity":
        return lambda z0, _: geometry.uniformity(z0)
    known = loss.ours()
    function = known[name] if name in known else loss.peers()[name]
    return lambda z0, z1: function(z0, z1).backward()


def main(name: str, n: int) -> None:
    """Print the rise of this process."""
    torch.set_num_threads(1)
    compute = task(name)
    compute(*loss.features(8))  # what is loaded on first use
    z0, z1 = loss.features(n)
    before = _peak()
    compute(z0, z1)
    print(_peak() - before)


def _peak() -> float:
    status = Path("/proc/self/status")
    if not status.exists():  # macOS, in bytes
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
