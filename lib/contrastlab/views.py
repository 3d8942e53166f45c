"""Random views of images: crop, flip and colour jitter, drawn for each image, computed for a whole batch at once.

Everything happens on the images' device, in float32. A generator makes the draws repeatable; it must live on the same
device. With generator=None they come from PyTorch's global one.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import grid_sample

CROP_TRIES = 10
PART_VALUES = 1024 * 3 * 32 * 32  # of images that are looked at together: 13 MB in float32
# RGB to luma Y and the two colour axes I and Q of NTSC television. Grey has I = Q = 0; turning (I, Q) turns the hue.
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
LUMA = YIQ[0].tolist()
QUARTER_TURN = (np.linalg.inv(YIQ) @ np.array([[0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ YIQ).tolist()


@dataclass(frozen=True)
class Recipe:
    """In what the views of an image may differ. The defaults are SimCLR's for CIFAR-10, with the crops of Wu 2018.

    crop_scale: range of the crop's share of the area; crop_ratio: range of its width / height.
    flip, jitter, grey: chances. brightness, contrast, saturation: each a factor within 1 -/+ the strength.
    hue: a turn within -/+ that share of the colour circle. Images of one channel know no saturation, hue and grey.
    Raises ValueError for a value out of its range.
    """

    crop_scale: tuple[float, float] = (0.2, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5
    jitter: float = 0.8
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2

    def __post_init__(self) -> None:
        for name, most in (("crop_scale", 1.0), ("crop_ratio", math.inf)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ValueError(f"{name} must be (low, high) with 0 < low <= high <= {most:g}, got ({low}, {high}).")
        for name in ("flip", "jitter", "brightness", "contrast", "saturation", "grey", "hue"):
            most = 0.5 if name == "hue" else 1
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from 0 to {most}, got {getattr(self, name)}.")


@dataclass(frozen=True)
class PartOf:
    """Draws for a part of a batch, which stands where a generator does: they are made for the whole batch, then cut.

    So an image has the same view whichever process makes it, and every process's generator stays in step.
    generator: as elsewhere; whole: how many images the batch has; part: which of them are at hand.
    """

    generator: Generator | None
    whole: int
    part: slice


Source = Generator | PartOf | None


def two_views(
    images: Tensor, mean: Tensor, std: Tensor, generator: Source = None, recipe: Recipe | None = None
) -> tuple[Tensor, Tensor]:
    """Two independent random views of each image; arguments as for augment, which makes each of the two."""
    x0 = augment(images, mean, std, generator, recipe)
    x1 = augment(images, mean, std, generator, recipe)
    return x0, x1


def augment(
    images: Tensor, mean: Tensor, std: Tensor, generator: Source = None, recipe: Recipe | None = None
) -> Tensor:
    """One random view of each image, standardised.

    images: (B, C, H, W) uint8 with C = 1 or 3; mean, std: (C,), of values in [0, 1]; recipe: None for Recipe().
    Returns (B, C, H, W) float32. Raises ValueError for images of another type or shape.
    """
    _check_images(images)
    recipe = recipe or Recipe()
    x = _unit_range(images)  # (B, C, H, W) in [0, 1]
    windows = random_windows(len(x), x.shape[2], x.shape[3], generator, recipe, x.device)  # (B, 4)
    windows = random_flip(windows, generator, recipe.flip)
    with torch.autocast(x.device.type, enabled=False):
        x = resample(x, windows)
        jitter = colour_jitter if x.shape[1] == 3 else intensity_jitter
        x = jitter(x, generator, recipe).clamp_(0, 1)
    return _standardise_(x, mean, std)


def standardise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """The images as they are, scaled to mean 0 and standard deviation 1 in each channel: what evaluation sees.

    images: (B, C, H, W) uint8; mean, std: (C,), of values in [0, 1]. Returns (B, C, H, W) float32.
    Raises ValueError for images of another type or shape.
    """
    _check_images(images)
    return _standardise_(_unit_range(images), mean, std)


def channel_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over all images and pixels, of values scaled to [0, 1].

    images: (n, C, H, W) uint8. Returns two (C,) float32 tensors on the images' device.
    Raises ValueError for images of another type or shape.
    """
    _check_images(images)
    count = len(images) * images.shape[2] * images.shape[3]
    parts = images.split(max(1, min(1024, PART_VALUES // images[0].numel())))  # a sum in another type copies its input
    mean = sum(part.sum(dim=(0, 2, 3), dtype=torch.int64) for part in parts) / count  # (n, C, H, W) -> (C,)
    squares = mean.new_empty(len(parts), len(mean))  # at once: small pieces between large ones would split the memory
    for row, part in zip(squares, parts, strict=True):
        row.copy_((part - mean[:, None, None]).square_().sum(dim=(0, 2, 3)))
    std = (squares.sum(dim=0) / count).sqrt()
    # A channel that never changes has no deviation to divide by; one grey level stands in for it.
    return mean / 255, std.clamp(min=1) / 255


def random_windows(n: int, height: int, width: int, generator: Source, recipe: Recipe, device: torch.device) -> Tensor:
    """Draw the part of each image that becomes its view: the first of ten tries that fits, as torchvision does.

    Area is uniform in crop_scale and log ratio uniform in crop_ratio, both then rounded to whole pixels; position is
    uniform. Where no try fits, it is the largest window within crop_ratio. Returns (n, 4): left, top, width, height in
    pixels.
    """
    low, high = recipe.crop_ratio
    area = _uniform((CROP_TRIES, n), *recipe.crop_scale, generator, device) * width * height
    ratio = _uniform((CROP_TRIES, n), math.log(low), math.log(high), generator, device).exp()
    size = torch.stack([area * ratio, area / ratio]).sqrt().round()  # (2, tries, n)
    fits = (size[0] >= 1) & (size[0] <= width) & (size[1] >= 1) & (size[1] <= height)  # (tries, n)
    first = fits.to(torch.uint8).argmax(dim=0)  # (n,)
    wide, tall = size.gather(1, first.expand(2, 1, n)).squeeze(1)  # (2, tries, n) -> (n,), (n,)
    wide = torch.where(fits.any(dim=0), wide, min(width, round(height * high)))
    tall = torch.where(fits.any(dim=0), tall, min(height, round(width / low)))
    left = (_uniform((n,), 0, 1, generator, device) * (width - wide + 1)).floor()
    top = (_uniform((n,), 0, 1, generator, device) * (height - tall + 1)).floor()
    return torch.stack([left, top, wide, tall], dim=1)


def random_flip(windows: Tensor, generator: Source, chance: float) -> Tensor:
    """Mirror windows (n, 4) from left to right, each with the given chance: they start right and have width < 0."""
    left, top, width, height = windows.unbind(dim=1)
    mirrored = _happens(len(windows), chance, generator, windows.device)
    left, width = torch.where(mirrored, left + width, left), torch.where(mirrored, -width, width)
    return torch.stack([left, top, width, height], dim=1)


def resample(x: Tensor, windows: Tensor) -> Tensor:
    """Stretch each image's window over the whole frame, with bilinear interpolation: (B, C, H, W), (B, 4) -> like x."""
    left, top, width, height = windows[:, :, None].unbind(dim=1)  # (B, 1) each
    at_x = _in_frame(left, width, x.shape[3])  # (B, W)
    at_y = _in_frame(top, height, x.shape[2])  # (B, H)
    # Windows have no slant, so two axes make the grid; affine_grid's matrix a pixel costs more than the sampling.
    grid = torch.stack(torch.broadcast_tensors(at_x[:, None, :], at_y[:, :, None]), dim=-1)  # (B, H, W, 2)
    return grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _in_frame(start: Tensor, extent: Tensor, side: int) -> Tensor:
    """Where the frame's pixel centres fall along one axis, in grid_sample's -1 to 1: (B, 1), (B, 1) -> (B, side)."""
    centres = (torch.arange(side, device=start.device) + 0.5) / side
    return 2 * (start + extent * centres) / side - 1


def intensity_jitter(x: Tensor, generator: Source, recipe: Recipe) -> Tensor:
    """Change brightness and contrast of each image: (B, 1, H, W) in [0, 1] -> the same shape, not yet clamped.

    Brightness b multiplies; contrast c stretches about the mean: x -> c b x + (1 - c) mean(b x).
    """
    on = _happens(len(x), recipe.jitter, generator, x.device)
    gain, contrast = _gain_and_contrast(on, generator, recipe)
    offset = (1 - contrast) * gain * x.mean(dim=(1, 2, 3))  # (B,)
    return torch.addcmul(_per_image(offset), x, _per_image(contrast * gain))


def colour_jitter(x: Tensor, generator: Source, recipe: Recipe) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image, in this order, and make some of them grey.

    x: (B, 3, H, W) in [0, 1]. Returns the same shape, not yet clamped. All of it is one 3x3 matrix and one offset an
    image: x -> c b (y + s (cos(h) (x - y) + sin(h) Q x)) + (1 - c) mean(b y), where y is the pixel's luma, Q a quarter
    turn of its colour, and grey means s = 0.
    """
    n, device = len(x), x.device
    on = _happens(n, recipe.jitter, generator, device)
    gain, contrast = _gain_and_contrast(on, generator, recipe)
    saturation = _factor(on, recipe.saturation, generator)
    saturation = saturation * ~_happens(n, recipe.grey, generator, device)
    hue = _uniform((n,), -recipe.hue, recipe.hue, generator, device) * 2 * math.pi * on
    luma = x.new_tensor(LUMA)  # (3,)
    to_luma = luma.expand(3, 3)
    colour = (saturation * hue.cos())[:, None, None] * (torch.eye(3, device=device) - to_luma)
    colour = colour + (saturation * hue.sin())[:, None, None] * x.new_tensor(QUARTER_TURN)
    matrix = (contrast * gain)[:, None, None] * (to_luma + colour)  # (B, 3, 3)
    offset = (1 - contrast) * gain * (x.mean(dim=(2, 3)) @ luma)  # (B, 3) @ (3,) -> (B,)
    return torch.baddbmm(offset[:, None, None], matrix, x.flatten(2)).view_as(x)  # (B, 3, 3) @ (B, 3, H W)


def _gain_and_contrast(on: Tensor, generator: Source, recipe: Recipe) -> tuple[Tensor, Tensor]:
    return _factor(on, recipe.brightness, generator), _factor(on, recipe.contrast, generator)


def _factor(on: Tensor, strength: float, generator: Source) -> Tensor:
    return 1 + on * _uniform((len(on),), -strength, strength, generator, on.device)


def _happens(n: int, chance: float, generator: Source, device: torch.device) -> Tensor:
    return _rand((n,), generator, device) < chance


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: Source, device: torch.device) -> Tensor:
    return low + (high - low) * _rand(shape, generator, device)


def _rand(shape: tuple[int, ...], generator: Source, device: torch.device) -> Tensor:
    """Uniform in [0, 1), one number an image along the last dimension."""
    if not isinstance(generator, PartOf):
        return torch.rand(shape, generator=generator, device=device)
    return torch.rand((*shape[:-1], generator.whole), generator=generator.generator, device=device)[..., generator.part]


def _per_image(value: Tensor) -> Tensor:
    return value[:, None, None, None]


def _unit_range(images: Tensor) -> Tensor:
    return images.float().div_(255)


def _standardise_(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return x.sub_(mean[:, None, None]).div_(std[:, None, None])


def _check_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(
            "expected images of type torch.uint8 and shape (B, C, H, W) with C = 1 or 3, "
            f"got {images.dtype} and {tuple(images.shape)}. Pass them as data.load gives them, not scaled; "
            "for a single image write images[None]."
        )
