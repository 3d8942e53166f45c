"""The machine that the numbers belong to."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from ..train import fast_bfloat16

PACKAGES = ("contrastlab", "torch", "torchvision", "lightly", "pytorch-metric-learning", "kornia")


def describe() -> dict[str, Any]:
    """The processor, what it can do, who else uses it, and the versions of what is compared."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": "one thread a measurement",
        "load": [round(load, 1) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "capability": torch.backends.cpu.get_cpu_capability(),
        "bfloat16 units": fast_bfloat16(torch.device("cpu")),
        "bfloat16 matrix units": torch.cpu._is_amx_tile_supported(),
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def free_memory() -> float:
    """Bytes of memory that can be had, or half of the machine's where the system does not tell."""
    with_details = Path("/proc/meminfo")
    if with_details.exists():
        line = next(line for line in with_details.read_text().splitlines() if line.startswith("MemAvailable"))
        return 1024 * float(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2 if hasattr(os, "sysconf") else 4e9


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    names = [line for line in path.read_text().splitlines() if line.startswith("model name")] if path.exists() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
