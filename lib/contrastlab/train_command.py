"""The command `contrastlab train`: one run with settings from the command line, on one process or on several."""

import argparse
import json
import types
from collections.abc import Sequence
from dataclasses import Field, asdict, fields
from pathlib import Path
from typing import Any, get_args

from . import data, distributed
from .config import Config
from .train import TILED_FROM, train

DESCRIPTION = """
Train one encoder and print its history as JSON. Several processes share each batch, and when one is killed they start
again from the checkpoint: python -m torch.distributed.run --standalone --nproc-per-node 4 --max-restarts 3
-m contrastlab train --checkpoint run.safetensors ... On several machines, which need the checkpoint on a disk that they
share, set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 before it: else a restarted process may look for a dead one.
"""
MEMORY = f"""
Of the losses with negatives from the batch, only the contrastive one goes over the similarities tile by tile, in
batches of {TILED_FROM} images or more. The hard, simple and triplet losses keep them all: 2B/W x 2B numbers, several
times over, on each of W processes that share B images. Their memory grows with the square of the batch.
"""
HELP = {
    "loss": "contrastive, simple, hard_contrastive, hard_simple or triplet",
    "tau": "the temperature; the simple losses have none",
    "alpha": "share of the negatives that a hard loss keeps",
    "k": "or their number",
    "negatives": "batch (the other views in it) or bank (all images)",
    "bank_momentum": "share of a bank's entry that stays when its image is seen again",
    "encoder": "small or resnet18",
    "width": "channels of the small encoder's first layer",
    "dim": "of the unit sphere",
    "epochs": "passes over the images",
    "batch_size": "images a step, of all processes together",
    "lr": "the highest learning rate",
    "momentum": "of SGD",
    "weight_decay": "of SGD",
    "schedule": "of the learning rate: cosine or step",
    "milestones": "epochs at which the step schedule divides it by 10",
    "warmup": "epochs in which it rises from 0",
    "seed": "of everything random",
}


def run(arguments: Sequence[str]) -> None:
    """Train as the arguments say; the first process prints config, history and circumstances as one JSON object."""
    asked = vars(_parser().parse_args(arguments))
    config = Config(**{field.name: asked.pop(field.name) for field in fields(Config)})
    with distributed.joined() as device:
        with distributed.first_here_goes_first():
            images = data.load(asked["data"], "train", size=asked["size"])
        images = images if asked["images"] is None else images.subset(asked["images"])
        trained = train(config, images, device=device, checkpoint=asked["checkpoint"], compile=asked["compile"])
        if distributed.rank() == 0:
            about = {"data": {"name": images.name, "train": len(images)}, "processes": distributed.world_size()}
            about["restarts"] = distributed.restarts()
            print(json.dumps({**about, "config": asdict(config), "history": trained.history}, indent=1), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="contrastlab train",
        description=DESCRIPTION,
        epilog=MEMORY,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", default=data.EMBEDDED, metavar="NAME", help=f"{', '.join(data.NAMES)}, or a folder")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side to which a folder's images are cut")
    parser.add_argument("--images", type=int, metavar="N", help="use the first N images only")
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help="written after each epoch and continued from")
    parser.add_argument("--compile", action="store_true", help="with torch.compile: slower to start, then faster")
    for field in fields(Config):
        parser.add_argument(f"--{field.name.replace('_', '-')}", help=HELP[field.name], **_option(field))
    return parser


def _option(field: Field) -> dict[str, Any]:
    """How argparse reads a field of Config: a number, a name, or a list of numbers."""
    if isinstance(field.default, tuple):
        return {"type": int, "nargs": "*", "default": field.default, "metavar": "EPOCH"}
    kind = get_args(field.type)[0] if isinstance(field.type, types.UnionType) else field.type
    return {"type": kind, "default": field.default, "metavar": "NAME" if kind is str else "X"}
