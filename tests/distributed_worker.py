"""What each process of test_distributed.py does under torch.distributed.run; alone, it makes what they must equal.

Equality to 1e-6 needs an encoder that treats every image by itself, and float32 with few roundings.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from contrastlab import checkpoints, data, distributed, encoders, train
from contrastlab.config import Config
from contrastlab.losses import LOSSES, contrastive_loss
from contrastlab.negatives import in_batch
from contrastlab.tiled_gathered import gathered_tiled_loss

TINY = Config(epochs=1, batch_size=32, width=4, dim=16, warmup=0)
HARD = {"hard_contrastive": {"alpha": 0.2}, "hard_simple": {"k": 5}}
CASES = {
    f"{loss}-{negatives}": replace(TINY, loss=loss, negatives=negatives, **HARD.get(loss, {}))
    for loss in LOSSES
    for negatives in ("batch", "bank")
}
WITH_BATCHNORM = replace(TINY, epochs=8, batch_size=16)
LONG = replace(TINY, epochs=3, batch_size=16, negatives="bank")
FAULTS = ("none goes back", "own part put back")
TAUS = (0.004, 0.1)
BIG = 4096  # images, whose similarities to one of two processes' views are a matrix of 128 MiB
IMAGES = 35  # so that a batch of 32 leaves some out, and the last part of a bank has an empty place


def images(count: int = IMAGES) -> data.Images:
    return data.load("fashion-mini").subset(count)


def trained(config: Config, count: int = IMAGES, **options) -> train.Trained:
    return train.train(config, images(count), device="cpu", progress=False, **options)


@contextmanager
def image_by_image(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A shallow encoder without BatchNorm, and no bfloat16."""

    def build(name: str, channels: int, dim: int, width: int, seed: int) -> encoders.Encoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            backbone = nn.Sequential(nn.Flatten(), nn.Linear(channels * 28 * 28, 32), nn.ReLU())
            return encoders.Encoder(backbone, 32, dim)

    with patch.context() as inside:
        inside.setattr(encoders, "build", build)
        inside.setattr(train, "fast_bfloat16", lambda device: False)
        yield


def weights(run: train.Trained) -> Tensor:
    return torch.cat([value.detach().flatten().double() for value in run.encoder.state_dict().values()])


def after_one_step(config: Config) -> dict[str, Tensor]:
    """The loss of one whole batch, and the gradient of every parameter."""
    run = trained(config)
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in run.encoder.named_parameters()}
    return {"loss": torch.tensor(run.history), **gradients}


def features() -> tuple[Tensor, Tensor]:
    """Features (24, 8) of two views, in float64."""
    return torch.randn(2, 24, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64).unbind()


def tiled(tau: float) -> dict[str, Tensor]:
    """The tiled loss of this process's part of the features, and the gradients at the features of all.

    Process r weighs its loss by r + 1, so that a gradient which only sums one's own weights is found out.
    """
    z0, z1 = (z[distributed.share(z)].clone().requires_grad_() for z in features())
    loss = gathered_tiled_loss(z0, z1, tau, tile=5)
    ((distributed.rank() + 1) * loss).backward()
    return {
        "loss": distributed.collect(loss[None]),
        "dz0": distributed.collect(z0.grad),
        "dz1": distributed.collect(z1.grad),
    }


def plain(tau: float, processes: int) -> dict[str, Tensor]:
    """What `tiled` must give for so many processes, of one process and all similarities at once."""
    z0, z1 = (z.clone().requires_grad_() for z in features())
    losses = contrastive_loss(*in_batch(normalize(z0, dim=1), normalize(z1, dim=1)), tau)
    loss = torch.stack(losses.chunk(2)).view(2, processes, -1).mean(dim=(0, 2))  # (2, N) -> (processes,)
    (loss * torch.arange(1, processes + 1)).sum().backward()
    return {"loss": loss.detach(), "dz0": z0.grad, "dz1": z1.grad}


def rise(n: int, d: int) -> float:
    """MiB by which the tiled loss of n images on each process, with its gradient, raises memory; Linux only."""
    z0, z1 = (torch.randn(n, d, requires_grad=True) for _ in range(2))
    before = memory("VmRSS")
    gathered_tiled_loss(z0, z1, 0.1).backward()
    return memory("VmHWM") - before


def memory(of: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(of)).split()[1]) / 1024


class Stopped(Exception):
    """The run was to end here."""


def go_on(checkpoint: Path, last: int) -> None:
    """Continue the long run from the checkpoint until so many epochs are done."""

    def stop(epoch: int, run: train.Trained) -> None:
        if epoch == last:
            raise Stopped

    with pytest.raises(Stopped):
        trained(LONG, checkpoint=checkpoint, after_epoch=stop)


def own_part_put_back(x: Tensor) -> Tensor:
    whole = distributed.collect(x)
    whole[distributed.share(whole)] = x
    return whole


def message(action: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as refused:
        action()
    return str(refused.value)


def refusals() -> dict[str, str]:
    """What a learner reads who starts the processes with what does not fit."""
    odd = images(64 if distributed.rank() else 48)
    return {
        "batch": message(lambda: trained(replace(TINY, batch_size=17))),
        "images": message(lambda: train.train(TINY, odd, device="cpu", progress=False)),
        "config": message(lambda: trained(replace(TINY, tau=1 / (1 + distributed.rank())))),
    }


def main(out: Path, epochs: int) -> None:
    """Do everything, continue the long run up to so many epochs, and write the results."""
    torch.set_num_threads(1)
    patch = pytest.MonkeyPatch()
    with distributed.joined():
        mebibytes = rise(BIG // distributed.world_size(), 32) if sys.platform == "linux" else None
        run = trained(WITH_BATCHNORM, 128)
        found = {"batchnorm.weights": distributed.collect(weights(run)[None])}
        with image_by_image(patch):
            for name, config in CASES.items():
                found |= {f"{name}.{key}": value for key, value in after_one_step(config).items()}
            with patch.context() as inside:
                inside.setattr(train, "TILED_FROM", 2)
                found |= {f"tiled-batch.{key}": value for key, value in after_one_step(TINY).items()}
            for fault, wrong in zip(FAULTS, (distributed.collect, own_part_put_back), strict=True):
                with patch.context() as inside:
                    inside.setattr(distributed, "gather", wrong)
                    found |= {f"{fault}.{key}": value for key, value in after_one_step(TINY).items()}
            for tau in TAUS:
                found |= {f"tau {tau}.{key}": value for key, value in tiled(tau).items()}
            go_on(out.with_name("long.safetensors"), epochs)
        description = {"history": run.history, "refusals": refusals(), "mebibytes": mebibytes}
        if distributed.rank() == 0:
            checkpoints.save(out, found, description)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
