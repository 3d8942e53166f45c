"""Checkpoints in safetensors: tensors and a JSON description, no pickle."""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from .files import first_aside, set_aside, write_atomically


class DamagedCheckpoint(RuntimeError):
    """A checkpoint that cannot be read; the file was set aside and is named in the message."""


def save(path: Path, tensors: dict[str, Tensor], description: dict[str, Any]) -> None:
    """Write named tensors and a JSON-able description to one safetensors file, whole or not at all."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    content = safetensors.torch.save(on_cpu, metadata={"description": json.dumps(description, sort_keys=True)})
    write_atomically(Path(path), content)


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote: the tensors (on the CPU) and the description.

    Raises FileNotFoundError; ValueError for a safetensors file that something else wrote, which is left alone; or
    DamagedCheckpoint after setting an unreadable file aside: training over it would lose whatever can still be rescued
    from it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}. Train one first, or check the path.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            description = json.loads(_description(path, file.metadata() or {}))
            return {name: file.get_tensor(name) for name in file.keys()}, description  # noqa: SIM118
    except (safetensors.SafetensorError, json.JSONDecodeError) as error:
        aside = set_aside(path)
        raise DamagedCheckpoint(
            f"{path} is no whole checkpoint ({error}). It was set aside as {aside.name}; run again to train anew."
        ) from error


def check_not_set_aside(path: Path) -> None:
    """Raise DamagedCheckpoint where `load` has set a damaged checkpoint aside and no other is in its place.

    A launcher starts again after any error, also after this one, and nobody would see that the run starts from nothing.
    """
    path = Path(path)
    aside = first_aside(path)
    if aside.exists() and not path.exists():
        raise DamagedCheckpoint(
            f"there is no checkpoint {path}, but {aside.name} lies beside where it was: it was damaged and set aside. "
            "This restart was to go on from it and would train from nothing. Put back a whole checkpoint, or, to train "
            "anew, move that file away; then start the command again."
        )


def _description(path: Path, metadata: dict[str, str]) -> str:
    if "description" not in metadata:
        raise ValueError(
            f"{path} is not a checkpoint of this book: it does not say which run it is of. It was left as it is. "
            "Name another file."
        )
    return metadata["description"]
