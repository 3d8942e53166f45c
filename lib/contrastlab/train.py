"""Training an encoder with a contrastive loss: one loop, readable from top to bottom."""

import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.std import tqdm

from . import checkpoints, encoders, losses, views
from .checks import check_temperature
from .data import Images
from .encoders import Encoder
from .names import one_of
from .negatives import MemoryBank, in_batch

SCHEDULES = ("cosine", "step")
NEGATIVES = ("bank", "batch")


@dataclass(frozen=True)
class Config:
    """Everything that decides a run, apart from the images and the machine. The defaults are the laptop profile's."""

    loss: str = "contrastive"
    tau: float | None = 0.2  # None for the two simple losses, which have none
    alpha: float | None = None  # share of negatives that a hard loss keeps
    k: int | None = None  # or their number
    negatives: str = "batch"  # or "bank"
    bank_momentum: float = 0.5
    encoder: str = "small"
    width: int = 16
    dim: int = 128
    epochs: int = 6
    batch_size: int = 256
    lr: float = 0.12
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    milestones: tuple[int, ...] = ()  # epochs at which the step schedule divides the learning rate by 10
    warmup: float = 0.5  # epochs
    seed: int = 0

    def __post_init__(self) -> None:
        one_of(self.loss, losses.LOSSES, "loss")
        one_of(self.negatives, NEGATIVES, "source of negatives")
        one_of(self.encoder, encoders.ENCODERS, "encoder")
        one_of(self.schedule, SCHEDULES, "schedule")
        object.__setattr__(self, "milestones", tuple(self.milestones))
        if self.loss in ("contrastive", "hard_contrastive"):
            check_temperature(math.nan if self.tau is None else self.tau)
        if self.epochs < 1 or self.batch_size < 2:
            raise ValueError(
                f"a run needs epochs >= 1 and a batch of at least 2 images, "
                f"got epochs = {self.epochs} and batch_size = {self.batch_size}"
            )


@dataclass
class Trained:
    """What a run leaves: the encoder, its mean loss in each epoch, and the mean and std that standardise its inputs."""

    encoder: Encoder
    mean: Tensor  # (C,)
    std: Tensor  # (C,)
    history: list[float] = field(default_factory=list)


def train(
    config: Config,
    images: Images,
    *,
    device: torch.device | str | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
    after_epoch: Callable[[int, Trained], None] | None = None,
) -> Trained:
    """Train an encoder on the images and return it. Same config, images, machine and thread count: same result.

    device: None picks CUDA, then MPS, then the CPU. checkpoint: a .safetensors file that is written after every epoch
    and, if it is there already, continued from. after_epoch: called with the epochs done and the run so far.
    Raises ValueError for a bank or batch larger than the data, or a checkpoint of another run; FloatingPointError
    where the loss stops being finite.
    """
    device = torch.device(device) if device is not None else pick_device()
    _check_size(config, images)
    images = images.to(device)
    run = _Run(config, images, device)
    done = run.resume(Path(checkpoint)) if checkpoint is not None and Path(checkpoint).exists() else 0
    with _progress_bar(len(images), done, config.epochs, progress) as bar:
        for epoch in range(done, config.epochs):
            run.epoch(epoch, bar)
            if checkpoint is not None:
                run.save(Path(checkpoint), epoch + 1)
            if after_epoch is not None:
                after_epoch(epoch + 1, run.trained)
    return run.trained


class _Run:
    """The state of a run: encoder, optimiser, bank, and what has been recorded so far."""

    def __init__(self, config: Config, images: Images, device: torch.device) -> None:
        self.config, self.images, self.device = config, images, device
        channels = images.images.shape[1]
        encoder = encoders.build(config.encoder, channels, config.dim, config.width, seed=config.seed)
        encoder = encoder.to(device, memory_format=torch.channels_last)
        mean, std = views.channel_statistics(images.images)
        self.trained = Trained(encoder, mean, std)
        self.bank = None
        if config.negatives == "bank":
            start = torch.Generator().manual_seed(config.seed)
            self.bank = MemoryBank(len(images), config.dim, momentum=config.bank_momentum, generator=start).to(device)
        self.optimiser = torch.optim.SGD(
            encoder.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.loss = loss_function(config)

    def epoch(self, epoch: int, bar: tqdm) -> None:
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
        mean_loss = (total / len(batches)).item()
        if not math.isfinite(mean_loss):
            raise FloatingPointError(
                f"the loss is {mean_loss} after epoch {epoch + 1}. Lower the learning rate (now {self.config.lr:g}) "
                f"or raise the temperature (now {self.config.tau})."
            )
        self.trained.history.append(mean_loss)

    def _step(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        z = self._embed(batch, generator)  # (B, d)
        if self.bank is not None:
            s_pos, s_neg = self.bank.similarities(z, batch)  # (B,), (B, n - 1)
        else:
            s_pos, s_neg = in_batch(z, self._embed(batch, generator))  # (2B,), (2B, 2B - 2)
        loss = self.loss(s_pos, s_neg).mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        if self.bank is not None:
            self.bank.update(z.detach(), batch)
        return loss.detach()

    def _embed(self, batch: Tensor, generator: torch.Generator) -> Tensor:
        """Embed one fresh random view of each image of the batch."""
        x = views.augment(self.images.images[batch], self.trained.mean, self.trained.std, generator)
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast_bfloat16(self.device)):
            return self.trained.encoder(x)

    def _set_learning_rate(self, epoch: float) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.config, epoch)

    def save(self, path: Path, epochs_done: int) -> None:
        tensors = {f"encoder.{name}": value for name, value in self.trained.encoder.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors[f"momentum.{index}"] = state["momentum_buffer"]
        if self.bank is not None:
            tensors["bank.z"] = self.bank.z
        tensors |= {"mean": self.trained.mean, "std": self.trained.std}
        description = {
            "config": asdict(self.config),
            "images": self._images(),
            "epochs_done": epochs_done,
            "history": self.trained.history,
        }
        checkpoints.save(path, tensors, description)

    def _images(self) -> dict[str, Any]:
        return {"name": self.images.name, "count": len(self.images)}

    def resume(self, path: Path) -> int:
        """Continue from a checkpoint; returns the epochs it had done."""
        tensors, description = checkpoints.load(path)
        if _config(description) != self.config or description["images"] != self._images():
            raise ValueError(
                f"{path} belongs to a run with another configuration or other images. Name another checkpoint, or "
                "remove this one to start over."
            )
        self.trained.encoder.load_state_dict(_part(tensors, "encoder."))
        buffers = {int(i): {"momentum_buffer": value} for i, value in _part(tensors, "momentum.").items()}
        self.optimiser.load_state_dict(self.optimiser.state_dict() | {"state": buffers})
        if self.bank is not None:
            self.bank.z = tensors["bank.z"].to(self.device)
        self.trained.history = description["history"]
        return description["epochs_done"]


def load_trained(path: Path) -> tuple[Trained, Config]:
    """The encoder of a checkpoint, on the CPU, ready to embed images; and the config that made it."""
    tensors, description = checkpoints.load(Path(path))
    config = _config(description)
    mean = tensors["mean"]
    encoder = encoders.build(config.encoder, len(mean), config.dim, config.width)
    encoder.load_state_dict(_part(tensors, "encoder."))
    return Trained(encoder.eval(), mean, tensors["std"], description["history"]), config


def loss_function(config: Config) -> Callable[[Tensor, Tensor], Tensor]:
    """The config's loss as a function of (s_pos, s_neg)."""
    function = getattr(losses, f"{config.loss}_loss")
    options: dict[str, Any] = {"alpha": config.alpha, "k": config.k} if config.loss.startswith("hard") else {}
    return lambda s_pos, s_neg: function(s_pos, s_neg, config.tau, **options)


def learning_rate(config: Config, epoch: float) -> float:
    """The learning rate after a (fractional) number of epochs: linear warm-up, then cosine to 0 or steps of 1/10."""
    warm = min(1.0, (epoch + 1e-3) / config.warmup) if config.warmup > 0 else 1.0
    if config.schedule == "step":
        return config.lr * warm * 0.1 ** sum(epoch >= milestone for milestone in config.milestones)
    return config.lr * warm * 0.5 * (1 + math.cos(math.pi * min(1.0, epoch / config.epochs)))


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


def _config(description: dict[str, Any]) -> Config:
    return replace(Config(), **description["config"])


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _progress_bar(images: int, done: int, epochs: int, shown: bool) -> tqdm:
    return tqdm(
        total=images * epochs, initial=images * done, unit="img", unit_scale=True, disable=not shown, file=sys.stderr
    )
