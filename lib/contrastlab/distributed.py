"""Several processes that train one encoder: which one this is, and how tensors pass between them.

Every process keeps a whole encoder and computes the loss of its share of each batch; DistributedDataParallel then
averages their gradients. So that this average is the gradient of the whole batch's loss, whatever passes between the
processes must hand gradients back, summed over the processes that used it. Alone, nothing passes and nothing changes.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.parallel import DistributedDataParallel

NEW_NAME, OLD_NAME = "forward_sync_buffers", "broadcast_buffers"  # PyTorch 2.15 warns of the old one
BROADCAST = NEW_NAME if NEW_NAME in signature(DistributedDataParallel).parameters else OLD_NAME


def world_size() -> int:
    """How many processes train together; 1 unless a launcher started several."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of these processes this is, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def launched() -> bool:
    """Whether torch.distributed.run started this process."""
    return {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= set(os.environ)


def restarts() -> int:
    """How often the launcher has started the processes again after one of them died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", 0))


@contextmanager
def joined() -> Iterator[torch.device | None]:
    """Join the processes that a launcher started; yields the device of this one, or None to choose freely if alone.

    One process a GPU, over NCCL; without GPUs over gloo. Raises ValueError for more processes than GPUs.
    """
    if not launched():
        yield None
        return
    here = int(os.environ["LOCAL_RANK"])
    device = torch.device("cuda", here) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        _check_gpus(int(os.environ["LOCAL_WORLD_SIZE"]))
        torch.cuda.set_device(device)
    store, rank, world_size = next(dist.rendezvous("env://"))
    store = dist.PrefixStore(_start(), store)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=store, rank=rank, world_size=world_size)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def _start() -> str:
    """A name for this start of the processes, alike in all of them.

    A launcher that starts its processes again keeps their store, where the slower ones' addresses are still those of
    the dead (PyTorch issue 135712): under another name nobody reads them. Several machines do not count restarts alike,
    so there the launcher must be told to make a new store each time: TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1.
    """
    one_machine = os.environ["LOCAL_WORLD_SIZE"] == os.environ["WORLD_SIZE"]
    return f"start {restarts()}" if one_machine else "start"


def _check_gpus(started: int) -> None:
    if started > torch.cuda.device_count():
        raise ValueError(
            f"{started} processes were started on a machine with {torch.cuda.device_count()} GPU(s). Start one a GPU "
            "with --nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES= to train on the processor."
        )


@contextmanager
def first_here_goes_first() -> Iterator[None]:
    """The first process of each machine goes through the block alone, then the others: one downloads, all read."""
    last = world_size() > 1 and int(os.environ.get("LOCAL_RANK", rank())) > 0
    if last:
        dist.barrier()
    yield
    if world_size() > 1 and not last:
        dist.barrier()


def share(batch: Tensor) -> slice:
    """The part of a batch that belongs to this process. All parts are equally long, as check_share demands."""
    n = len(batch) // world_size()
    return slice(rank() * n, (rank() + 1) * n)


def check_share(batch_size: int) -> None:
    """Raise ValueError unless the processes can share a batch of that size equally, two images or more each."""
    count = world_size()
    if batch_size % count or batch_size < 2 * count:
        fitting = max(2, round(batch_size / count)) * count
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared by {count} processes: batch_size counts all of them, and "
            f"each needs as many as the others, at least 2. Try batch_size = {fitting}, or another --nproc-per-node."
        )


def check_same(content: bytes, what: str) -> None:
    """Raise ValueError on every process unless all of them have the same content; what: names it, "other images"."""
    digest = torch.frombuffer(bytearray(hashlib.sha256(content).digest()), dtype=torch.uint8)
    digests = collect(digest.to(_device())).view(world_size(), -1)
    odd = [str(i) for i, other in enumerate(digests) if not torch.equal(other, digests[0])]
    if odd:
        raise ValueError(
            f"process {', '.join(odd)} of {world_size()} has {what} than process 0. All must be started with the same "
            "options, on the same data, and with the checkpoint on a disk that they share."
        )


def _device() -> torch.device:
    """A device whose tensors the processes can exchange."""
    nccl = world_size() > 1 and dist.get_backend() == "nccl"
    return torch.device("cuda" if nccl else "cpu")


def parallel(encoder: nn.Module, device: torch.device) -> nn.Module:
    """The encoder as it is when alone, else with gradients averaged over the processes.

    On GPUs BatchNorm then takes its statistics from the whole batch (SyncBatchNorm). PyTorch has this for GPUs only: on
    processors each process normalises by its own share, which is not quite what one process does with the whole batch.
    """
    if world_size() == 1:
        return encoder
    if device.type == "cuda":
        encoder = nn.SyncBatchNorm.convert_sync_batchnorm(encoder)
    # Buffers are not broadcast in each forward pass: that would change them between a step's two views.
    return DistributedDataParallel(encoder, **{BROADCAST: False})


def average(x: Tensor) -> Tensor:
    """The mean of x over the processes, on each of them; without gradients."""
    if world_size() == 1:
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / world_size()


def average_statistics(encoder: nn.Module) -> None:
    """Give every process the mean of all processes' running statistics, so that they hold one encoder."""
    for buffer in encoder.buffers():
        if buffer.is_floating_point():
            buffer.copy_(average(buffer))


def collect(x: Tensor) -> Tensor:
    """The x of all processes one below the other, in the order of their ranks, without gradients: (n, ...) each."""
    if world_size() == 1:
        return x.detach()
    whole = x.new_empty(world_size() * len(x), *x.shape[1:])
    dist.all_gather_into_tensor(whole, x.detach().contiguous())
    return whole


def gather(x: Tensor) -> Tensor:
    """As collect, but every process's x receives the gradients that it caused anywhere, summed over the processes."""
    return x if world_size() == 1 else _Gather.apply(x)


def exchange(x: Tensor) -> Tensor:
    """Rows to their processes: (W n, m), n rows for each of W processes -> (n, W m), this one's rows from each.

    It is its own inverse but for the shapes, so gradients go the way back.
    """
    return x if world_size() == 1 else _Exchange.apply(x)


class _Gather(Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return collect(x)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> Tensor:
        total = upstream.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[share(total)]


class _Exchange(Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        received = _all_to_all(x)  # (W n, m): n rows from each of W processes
        return torch.cat(received.chunk(world_size()), dim=1)

    @staticmethod
    def backward(ctx, upstream: Tensor) -> Tensor:
        return _all_to_all(torch.cat(upstream.chunk(world_size(), dim=1)))


def _all_to_all(x: Tensor) -> Tensor:
    received = torch.empty_like(x, memory_format=torch.contiguous_format)
    dist.all_to_all_single(received, x.contiguous())
    return received
