"""What each process of test_distributed.py does under torch.distributed.run; alone, it makes what they must equal.

Equality to 1e-6 needs an encoder that treats every image by itself, and float32 with few roundings.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from contrastlab import checkpoints, compiling, data, distributed, encoders, train, train_command
from contrastlab.config import Config, loss_function
from contrastlab.gathered import SharedBank
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


def after_one_step(config: Config, **options) -> dict[str, Tensor]:
    """The loss of one whole batch, and the gradient of every parameter."""
    run = trained(config, **options)
    gradients = {f"gradient of {name}": parameter.grad for name, parameter in run.encoder.named_parameters()}
    return {"loss": torch.tensor(run.history), **gradients}


def little_step() -> dict[str, Tensor]:
    """Loss of chapter 11's little net on its 64 pairs, and the gradient of all parameters; the trainer's loss."""
    generator = torch.Generator().manual_seed(1)
    x0 = torch.randn(64, 20, generator=generator)
    x1 = x0 + 0.3 * torch.randn(64, 20, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 16))
    model = distributed.parallel(net, torch.device("cpu"))
    z0, z1 = (normalize(model(x[distributed.share(x)]), dim=1) for x in (x0, x1))
    loss = train.loss_function(replace(TINY, tau=0.1))(*train.gathered_in_batch(z0, z1)).mean()
    loss.backward()
    gradient = torch.cat([parameter.grad.flatten() for parameter in net.parameters()])
    return {"loss": distributed.average(loss.detach()), "gradient": gradient}


def compiled_step(patch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """As after_one_step, through torch.compile without its slow compiler; and how many graphs it was given."""
    graphs = []

    def as_it_is(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    with patch.context() as inside:
        inside.setattr(compiling, "compile", partial(torch.compile, backend=as_it_is))
        step = after_one_step(TINY, compile=True)
    torch.compiler.reset()
    return {"graphs": torch.tensor(len(graphs)), **step}


def rows_of_the_bank(patch: pytest.MonkeyPatch) -> Tensor:
    """How many rows of numbers each process's memory holds for the bank that it trained with: (W,)."""
    banks = []

    def kept(*arguments, **options) -> SharedBank:
        banks.append(SharedBank(*arguments, **options))
        return banks[-1]

    with patch.context() as inside:
        inside.setattr(train, "SharedBank", kept)
        trained(replace(TINY, negatives="bank"))
    (bank,) = banks
    return distributed.collect(torch.tensor([bank.z.untyped_storage().nbytes() / (4 * TINY.dim)]))


def features() -> tuple[Tensor, Tensor]:
    """Features (24, 8) of two views, in float64, as float32 has them too."""
    return torch.randn(2, 24, 8, generator=torch.Generator().manual_seed(0)).double().unbind()


def tiled(tau: float, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The tiled loss of this process's part of the features, and the gradients at the features of all.

    Process r weighs its loss by r + 1, so that a gradient which only sums one's own weights is found out.
    """
    z0, z1 = (z[distributed.share(z)].to(dtype, copy=True).requires_grad_() for z in features())
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


def all_anchors(z0: Tensor, z1: Tensor) -> tuple[Tensor, Tensor]:
    """The rows of all processes on each of them, instead of its own."""
    return in_batch(distributed.gather(z0), distributed.gather(z1))


def times_processes(config: Config) -> Callable[..., Tensor]:
    loss = loss_function(config)
    return lambda s_pos, s_neg: distributed.world_size() * loss(s_pos, s_neg)


TIMES_PROCESSES = "own part put back, loss times processes"
# Gathers in use that lose gradients: what stands there instead of ours.
FAULTS = {
    "none goes back": {"distributed.gather": distributed.collect},
    "own part put back": {"distributed.gather": own_part_put_back},
    "own part put back, all anchors": {
        "distributed.gather": own_part_put_back,
        "train.gathered_in_batch": all_anchors,
    },
    TIMES_PROCESSES: {
        "distributed.gather": own_part_put_back,
        "train.loss_function": times_processes,
    },
}


def message(action: Callable[[], object]) -> str:
    with pytest.raises(ValueError) as refused:
        action()
    return str(refused.value)


def refusals() -> dict[str, str]:
    """What a learner reads who starts the processes with what does not fit."""
    odd = images(64 if distributed.rank() else 48)
    too_few = [z[: 6 - distributed.rank()] for z in features()]
    return {
        "batch": message(lambda: trained(replace(TINY, batch_size=17))),
        "images": message(lambda: train.train(TINY, odd, device="cpu", progress=False)),
        "config": message(lambda: trained(replace(TINY, tau=1 / (1 + distributed.rank())))),
        "features": message(lambda: gathered_tiled_loss(*too_few, 0.1)),
    }


def killed_once(out: Path, victim: int, last: int, command: list[str]) -> None:
    """`contrastlab train`, whose process number victim kills itself after step number last of the first start.

    Process r writes the epochs that start s did to OUT/s-r.json.
    """
    rank, start = int(os.environ["RANK"]), distributed.restarts()
    time.sleep(3 * rank * start)  # process 0 is there long before the new process 1, and must not look for the old one
    steps, epochs = [], []

    def after_step() -> None:
        steps.append(1)
        if (start, rank, len(steps)) == (0, victim, last):
            os.kill(os.getpid(), signal.SIGKILL)

    def after_epoch(epoch: int, run: train.Trained) -> None:
        epochs.append(epoch)
        (out / f"{start}-{rank}.json").write_text(json.dumps(epochs))

    with pytest.MonkeyPatch.context() as patch:
        observed = partial(train.train, after_step=after_step, after_epoch=after_epoch)
        patch.setattr(train_command, "train", observed)
        train_command.run(command)


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
            for fault, wrong in FAULTS.items():
                with patch.context() as inside:
                    for place, instead in wrong.items():
                        inside.setattr(f"contrastlab.{place}", instead)
                    found |= {f"{fault}.{key}": value for key, value in after_one_step(TINY).items()}
                    found |= {f"little, {fault}.{key}": value for key, value in little_step().items()}
            found["bank.rows"] = rows_of_the_bank(patch)
            found |= {f"compiled.{key}": value for key, value in compiled_step(patch).items()}
            for tau in TAUS:
                found |= {f"tau {tau}.{key}": value for key, value in tiled(tau).items()}
                in_float32 = tiled(tau, torch.float32)
                found |= {f"float32, tau {tau}.{key}": value for key, value in in_float32.items()}
            go_on(out.with_name("long.safetensors"), epochs)
        description = {"history": run.history, "refusals": refusals(), "mebibytes": mebibytes}
        if distributed.rank() == 0:
            checkpoints.save(out, found, description)


if __name__ == "__main__":
    if sys.argv[3:]:
        killed_once(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
    else:
        main(Path(sys.argv[1]), int(sys.argv[2]))
