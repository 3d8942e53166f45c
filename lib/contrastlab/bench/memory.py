"""How far memory rises above the inputs, each variant in a process of its own: `python -m contrastlab.bench.memory`."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from .. import geometry, train
from . import loss, step, views
from .measure import MB, Row, compare, too_large

LOSSES = (loss.OURS, "plain", "cross-entropy", "lightly", "pytorch-metric-learning SupConLoss")
TRAINING, UNIFORMITY = "training", "uniformity"
SIZE, LARGE, POINTS, IMAGES = 4096, 8192, 50_000, 2048
WARM = 512  # images: more than a tile, so that code and buffers of the libraries are there before the measurement

# glibc keeps what is freed for later, and measurements would see it or not by chance: let it hand tensors back at once.
HAND_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536"}
STATUS, RESET_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")  # of Linux


def measure(quick: bool) -> list[Row]:
    """Peak memory of the losses with their gradients, of uniformity over many points, and of a whole training."""
    if sys.platform == "win32":
        print("no memory part: Windows tells no peak that a fresh process could read", flush=True)
        return []
    n = SIZE // 4 if quick else SIZE
    setting = f"loss, N = {n:,}"
    needed = {name: loss.needs(name, n) for name in LOSSES if not loss.fits(name, n)}
    rows = compare("memory", setting, MB, {name: rise(name, n) for name in LOSSES if name not in needed}, loss.OURS)
    rows += too_large("memory", setting, MB, needed)
    if not quick:
        rows.append(Row("memory", f"loss, N = {LARGE:,}", loss.OURS, rise(loss.OURS, LARGE), MB))
        rows.append(Row("memory", f"uniformity, n = {POINTS:,}", UNIFORMITY, rise(UNIFORMITY, POINTS), MB))
    rows.append(Row("memory", f"whole steps, {step.SETTING}", TRAINING, rise(TRAINING, IMAGES), MB))
    return rows


def rise(name: str, n: int) -> float:
    """MB by which the peak of a fresh process grows while it computes."""
    command = [sys.executable, "-m", __name__, name, str(n)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | HAND_BACK).stdout)


def prepared(name: str, n: int) -> Callable[[], object]:
    """The computation that the name stands for, with its inputs of n images there already."""
    if name == TRAINING:
        images, config = step.labelled(views.some_images(n)), replace(step.CONFIG, epochs=1)
        config = replace(config, batch_size=min(config.batch_size, n))
        return lambda: train.train(config, images, device="cpu", progress=False)
    z0, z1 = loss.features(n)
    if name == UNIFORMITY:
        z0 = z0.detach()
        return lambda: geometry.uniformity(z0)
    known = loss.ours()
    function = known[name] if name in known else loss.peers()[name]
    return lambda: function(z0, z1).backward()


def rise_here(compute: Callable[[], object]) -> float:
    """MB by which this process grows, at its peak, above what it holds now, while it computes.

    Linux lets a process forget its earlier peak. macOS does not: there the rise is that above the earlier peak.
    """
    if RESET_PEAK.exists():
        RESET_PEAK.write_text("5")
    before = _resident()
    compute()
    return _peak() - before


def main(name: str, n: int) -> None:
    """Print the rise of this process."""
    torch.set_num_threads(1)
    prepared(name, WARM)()  # what is loaded on first use
    print(rise_here(prepared(name, n)))


def _resident() -> float:
    """MB that this process holds now, or its peak where the system does not tell."""
    return _of_status("VmRSS") if STATUS.exists() else _peak()


def _peak() -> float:
    """MB that this process has held at most."""
    if STATUS.exists():
        return _of_status("VmHWM")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # macOS, in bytes


def _of_status(name: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
