"""Training an encoder with a contrastive loss: one loop, readable from top to bottom."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.std import tqdm

from . import checkpoints, distributed, encoders, views
from .compiling import compiled
from .config import Config, learning_rate, loss_function
from .data import Images
from .encoders import Encoder
from .gathered import SharedBank, gathered_in_batch
from .tiled_gathered import gathered_tiled_loss

_OF_ANOTHER_RUN = (
    "{path} belongs to a run with another configuration or other images. Name another checkpoint, or remove this one "
    "to start over."
)
TILED_FROM = 2048  # images a batch from which the 2N x 2N similarities of the contrastive loss are not kept at once


@dataclass
class Trained:
    """What a run leaves: the encoder, its mean loss in each epoch, and the mean and std that standardise its inputs.

    seconds: what the epochs done took, on all the processes together that a run which was killed went on in.
    """

    encoder: Encoder
    mean: Tensor  # (C,)
    std: Tensor  # (C,)
    history: list[float] = field(default_factory=list)
    seconds: float = 0.0


def train(
    config: Config,
    images: Images,
    *,
    device: torch.device | str | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
    after_epoch: Callable[[int, Trained], None] | None = None,
    after_step: Callable[[], None] | None = None,
    compile: bool = False,
) -> Trained:
    """Train an encoder on the images and return it. Same config, images, machine and thread count: same result.

    device: None picks CUDA, then MPS, then the CPU. checkpoint: a .safetensors file that is written after every epoch
    and, if it is there already, continued from. after_epoch: called with the epochs done and the run so far.
    after_step: called after each step; what either of the two raises ends the training.
    compile: whether torch.compile makes the encoder's passes faster, after a first epoch that takes a minute longer;
    it rounds differently. Raises CompilerMissing where it cannot.
    Where several processes train together (distributed.py), all of them call this with the same arguments. They share
    each batch, draw the views that one process would draw, and end with one encoder; the first writes the checkpoint,
    and any number of processes can continue from it.
    Mapped images stay on the disk, and each step moves its batch to the device; others go there at once.
    Raises ValueError for a bank or batch larger than the data, a batch that the processes cannot share, processes that
    differ, or a checkpoint of another run; DamagedCheckpoint where it cannot be read, or was set aside as damaged
    before the launcher started the processes again; FloatingPointError where the loss stops being finite.
    """
    device = torch.device(device) if device is not None else pick_device()
    _check_size(config, images)
    distributed.check_share(config.batch_size)
    distributed.check_same(_fingerprint(config, images), "another configuration or other images")
    images = images.for_training_on(device)
    run = _Run(config, images, device, compile)
    with distributed.first_here_goes_first():
        done = run.resume(Path(checkpoint)) if checkpoint is not None else 0
    distributed.check_same(str(done).encode(), "a checkpoint of another epoch")
    with _progress_bar(len(images), done, config.epochs, progress and distributed.rank() == 0) as bar:
        for epoch in range(done, config.epochs):
            start = time.perf_counter()
            run.epoch(epoch, bar, after_step)
            run.trained.seconds += time.perf_counter() - start
            if checkpoint is not None:
                run.save(Path(checkpoint), epoch + 1)
            if after_epoch is not None:
                after_epoch(epoch + 1, run.trained)
    return run.trained


class _Run:
    """The state of a run: encoder, optimiser, bank, and what has been recorded so far."""

    def __init__(self, config: Config, images: Images, device: torch.device, compile: bool) -> None:
        self.config, self.images, self.device = config, images, device
        channels = images.images.shape[1]
        encoder = encoders.build(config.encoder, channels, config.dim, config.width, seed=config.seed)
        encoder = encoder.to(device, memory_format=torch.channels_last)
        model = distributed.parallel(encoder, device)  # the encoder itself when alone
        self.model = compiled(model) if compile else model
        mean, std = views.channel_statistics(images.images)
        self.trained = Trained(encoder, mean.to(device), std.to(device))
        self.bank = None
        if config.negatives == "bank":
            start = torch.Generator().manual_seed(config.seed)
            self.bank = SharedBank(len(images), config.dim, momentum=config.bank_momentum, generator=start).to(device)
        self.optimiser = torch.optim.SGD(
            encoder.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.loss = loss_function(config)

    def epoch(self, epoch: int, bar: tqdm, after_step: Callable[[], None] | None = None) -> None:
        """One pass over the images in a random order. Everything random in it follows from (seed, epoch)."""
        self.trained.encoder.train()
        generator = torch.Generator(self.device).manual_seed(1_000_003 * self.config.seed + epoch)
        order = torch.randperm(len(self.images), generator=generator, device=self.device)
        batches = order.split(self.config.batch_size)
        batches = [batch for batch in batches if len(batch) == self.config.batch_size]
        total = torch.zeros((), device=self.device)
        for step, batch in enumerate(batches):
            self._set_learning_rate(epoch + step / len(batches))
            loss = self._step(batch, generator)
            total += loss
            bar.update(len(batch))
            if step % 20 == 0:
                bar.set_postfix(loss=f"{loss.item():.3f}")
            if after_step is not None:
                after_step()
        distributed.average_statistics(self.trained.encoder)
        mean_loss = distributed.average(total / len(batches)).item()
        if not math.isfinite(mean_loss):
            raise FloatingPointError(
                f"the loss is {mean_loss} after epoch {epoch + 1}. Lower the learning rate (now {self.config.lr:g}) "
                f"or raise the temperature (now {self.config.tau})."
            )
        self.trained.history.append(mean_loss)

    def _step(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        mine = batch[distributed.share(batch)]  # (b,): all of it when alone
        draws = views.PartOf(generator, len(batch), distributed.share(batch))
        pixels = self.images.pixels(mine, self.device)  # (b, C, H, W)
        z = self._embed(pixels, draws)  # (b, d)
        if self.bank is not None:
            s_pos, s_neg = self.bank.similarities(z, mine)  # (b,), (b, n - 1)
            loss = self.loss(s_pos, s_neg).mean()
        elif self.config.loss == "contrastive" and len(batch) >= TILED_FROM:
            loss = gathered_tiled_loss(z, self._embed(pixels, draws), self.config.tau)
        else:
            s_pos, s_neg = gathered_in_batch(z, self._embed(pixels, draws))  # (2b,), (2b, 2B - 2)
            loss = self.loss(s_pos, s_neg).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        if self.bank is not None:
            self.bank.update(z.detach(), mine)
        return loss.detach()

    def _embed(self, pixels: Tensor, draws: views.PartOf) -> Tensor:
        """Embed one fresh random view of each image of this process's part of the batch: (b, C, H, W) -> (b, d)."""
        x = views.augment(pixels, self.trained.mean, self.trained.std, draws)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast_bfloat16(self.device)):
            return self.model(x)

    def _set_learning_rate(self, epoch: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, epoch)

    def save(self, path: Path, epochs_done: int) -> None:
        """Write all that the next epoch needs; of several processes the first does it, with the help of all."""
        tensors = {f"encoder.{name}": value for name, value in self.trained.encoder.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors[f"momentum.{index}"] = state["momentum_buffer"]
        if self.bank is not None:
            tensors["bank.z"] = self.bank.whole()
        tensors |= {"mean": self.trained.mean, "std": self.trained.std}
        description = {
            "config": asdict(self.config),
            "images": self._images(),
            "epochs_done": epochs_done,
            "history": self.trained.history,
            "seconds": self.trained.seconds,
        }
        if distributed.rank() == 0:
            checkpoints.save(path, tensors, description)

    def _images(self) -> dict[str, Any]:
        return {"name": self.images.name, "count": len(self.images)}

    def resume(self, path: Path) -> int:
        """Continue from a checkpoint if there is one; returns the epochs it had done."""
        if not path.exists():
            if distributed.restarts() > 0:
                checkpoints.check_not_set_aside(path)
            return 0
        tensors, description = checkpoints.load(path)
        if _config(path, description) != self.config or description["images"] != self._images():
            raise ValueError(_OF_ANOTHER_RUN.format(path=path))
        self.trained.encoder.load_state_dict(_part(tensors, "encoder."))
        buffers = {int(i): {"momentum_buffer": value} for i, value in _part(tensors, "momentum.").items()}
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": buffers})
        if self.bank is not None:
            self.bank.fill(tensors["bank.z"])
        self.trained.history, self.trained.seconds = description["history"], _seconds(description)
        return description["epochs_done"]


def load_trained(path: Path) -> tuple[Trained, Config]:
    """The encoder of a checkpoint, on the CPU, ready to embed images; and the config that made it.

    Raises what checkpoints.load raises, and ValueError for a config that this version does not know.
    """
    tensors, description = checkpoints.load(Path(path))
    config = _config(path, description)
    mean = tensors["mean"]
    encoder = encoders.build(config.encoder, len(mean), config.dim, config.width)
    encoder.load_state_dict(_part(tensors, "encoder."))
    return Trained(encoder.eval(), mean, tensors["std"], description["history"], _seconds(description)), config


def pick_device() -> torch.device:
    """CUDA if there is one, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def fast_bfloat16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere autocast would slow training down."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _check_size(config: Config, images: Images) -> None:
    if config.batch_size > len(images):
        raise ValueError(f"a batch of {config.batch_size} does not fit {len(images)} images; lower batch_size")


def _fingerprint(config: Config, images: Images) -> bytes:
    """What must be alike in processes that train together: the config, and the images as far as a sample shows."""
    sample = images.images[:: max(1, len(images) // 100)].contiguous().cpu()
    return f"{config} {images.name} {tuple(images.images.shape)}".encode() + sample.numpy().tobytes()


def _config(path: Path, description: dict[str, Any]) -> Config:
    try:
        return replace(Config(), **description["config"])
    except (KeyError, TypeError) as error:  # of another version of this book, or of none
        raise ValueError(f"{_OF_ANOTHER_RUN.format(path=path)} ({error})") from error


def _seconds(description: dict[str, Any]) -> float:
    return description.get("seconds", 0.0)  # the first checkpoints did not count them


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _progress_bar(images: int, done: int, epochs: int, shown: bool) -> tqdm:
    return tqdm(
        total=images * epochs, initial=images * done, unit="img", unit_scale=True, disable=not shown, file=sys.stderr
    )
