"""Making the views of images: this book's batched way against transforms in worker processes and kornia's."""

import sys
from collections.abc import Callable, Iterator, Sequence

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from .. import views
from .measure import RATE, Row, compare, interleaved, with_workers

SIDE, BATCH, WORKERS = 32, 256, 2
MEAN = STD = (0.5, 0.5, 0.5)
IMAGES, ROUNDS = 2048, 5
QUICK_IMAGES, QUICK_ROUNDS = 512, 2

Pipeline = Callable[[Tensor], Iterator[tuple[Tensor, Tensor]]]
OURS, KORNIA = "this book", "kornia, batched"
# Workers of a server, Linux's default from Python 3.14 on, are no children of this process: their time would be lost.
START_OF_WORKERS = "fork" if sys.platform == "linux" else None
TORCHVISION, LIGHTLY = f"torchvision, {WORKERS} workers", f"lightly, {WORKERS} workers"


def pipelines() -> dict[str, Pipeline]:
    """Each makes two views of every image (n, 3, SIDE, SIDE) by the same recipe, a batch at a time."""
    return {OURS: batched, TORCHVISION: of_torchvision, KORNIA: of_kornia, LIGHTLY: of_lightly}


def some_images(n: int) -> Tensor:
    """n images of noise: what is in them does not change the time."""
    return torch.randint(0, 256, (n, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def measure(quick: bool) -> list[Row]:
    """Views a second of one core, for each of the pipelines.

    The start of workers counts. It is next to nothing on Linux, which forks them; elsewhere each loads PyTorch anew.
    """
    images, rounds = some_images(QUICK_IMAGES if quick else IMAGES), QUICK_ROUNDS if quick else ROUNDS
    passes = {name: lambda make=make: _use_up(make(images)) for name, make in pipelines().items()}
    for name in (OURS, KORNIA):
        _use_up(pipelines()[name](images[: 2 * BATCH]))  # what is loaded on first use; workers are new each time
    seconds = interleaved(passes, rounds, with_workers)
    rates = {name: 2 * len(images) / max(s, 0.01) for name, s in seconds.items()}
    return compare("views", f"{SIDE} x {SIDE} x 3, {len(images):,} images", RATE, rates, OURS)


def batched(images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """This book's views."""
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    for batch in images.split(BATCH):
        yield views.two_views(batch, mean, std)


def of_torchvision(images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """torchvision's transforms on PIL images in a DataLoader, as SimCLR's many ports have them."""
    recipe = views.Recipe()
    jitter = transforms.ColorJitter(recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
    one_view = transforms.Compose([
        transforms.RandomResizedCrop(SIDE, recipe.crop_scale, recipe.crop_ratio),
        transforms.RandomHorizontalFlip(recipe.flip),
        transforms.RandomApply([jitter], recipe.jitter),
        transforms.RandomGrayscale(recipe.grey),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])  # fmt: skip
    yield from _loader(_Pairs(images, (one_view, one_view)))


def of_lightly(images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """lightly's SimCLR transform with this book's recipe in a DataLoader."""
    from lightly.transforms import SimCLRTransform

    recipe = views.Recipe()
    both_views = SimCLRTransform(
        input_size=SIDE,
        cj_prob=recipe.jitter,
        cj_bright=recipe.brightness,
        cj_contrast=recipe.contrast,
        cj_sat=recipe.saturation,
        cj_hue=recipe.hue,
        min_scale=recipe.crop_scale[0],
        random_gray_scale=recipe.grey,
        gaussian_blur=0.0,
        normalize={"mean": list(MEAN), "std": list(STD)},
    )
    yield from _loader(_Pairs(images, both_views.transforms))


def of_kornia(images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """kornia's augmentations on whole batches, with draws of its own for each image."""
    from kornia import augmentation

    recipe = views.Recipe()
    jitter = augmentation.ColorJitter(
        recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue, p=recipe.jitter
    )
    one_view = nn.Sequential(
        augmentation.RandomResizedCrop((SIDE, SIDE), recipe.crop_scale, recipe.crop_ratio),
        augmentation.RandomHorizontalFlip(p=recipe.flip),
        jitter,
        augmentation.RandomGrayscale(p=recipe.grey),
        augmentation.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
    )
    for batch in images.split(BATCH):
        x = batch.float().div_(255)
        yield one_view(x), one_view(x)


def _loader(data: Dataset) -> DataLoader:
    return DataLoader(data, BATCH, num_workers=WORKERS, multiprocessing_context=START_OF_WORKERS)


class _Pairs(Dataset):
    """Two views of each image, each made from its PIL image by its transform."""

    def __init__(self, images: Tensor, transforms: Sequence[Callable[[Image.Image], Tensor]]) -> None:
        self.pixels, self.transforms = images.permute(0, 2, 3, 1).contiguous().numpy(), tuple(transforms)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        image = Image.fromarray(self.pixels[index])
        return tuple(transform(image) for transform in self.transforms)


def _use_up(batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    for x0, x1 in batches:
        assert x0.shape == x1.shape
