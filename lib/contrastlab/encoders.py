"""Encoders: images in, unit vectors out."""

import torch
import torchvision
from torch import Tensor, nn

from .names import one_of

ENCODERS = ("small", "resnet18")


class Encoder(nn.Module):
    """A backbone followed by a linear projection onto the unit sphere in `dim` dimensions.

    The projection is one linear layer, as in Wu et al. (CVPR 2018), on whose code the paper's experiments most likely
    build; there is no MLP head.
    """

    def __init__(self, backbone: nn.Module, width: int, dim: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.projection = nn.Linear(width, dim)

    def features(self, x: Tensor) -> Tensor:
        """Backbone features, what the linear probe sees. x: (B, C, H, W) -> (B, width)."""
        return self.backbone(x)

    def project(self, features: Tensor) -> Tensor:
        """(B, width) -> (B, dim), each row of length 1, in float32."""
        return nn.functional.normalize(self.projection(features).float(), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """z of the paper. x: (B, C, H, W) -> (B, dim), each row of length 1."""
        return self.project(self.features(x))


def build(name: str, channels: int, dim: int = 128, width: int = 16, seed: int | None = None) -> Encoder:
    """An encoder by name: "small", six 3x3 convolutions for a laptop, or "resnet18", the paper's for 32x32 images.

    channels: of the images, 1 or 3. dim: of the unit sphere. width: channels of the small net's first layer.
    seed: fixes the initial weights without touching the global generator. Raises ValueError for an unknown name.
    """
    one_of(name, ENCODERS, "encoder")
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        if name == "small":
            return Encoder(_small(channels, width), 8 * width, dim)
        return Encoder(_resnet18(channels), 512, dim)


def _small(channels: int, width: int) -> nn.Sequential:
    """Six convolutions in three steps of resolution, each step twice as wide, then the mean over positions."""
    plan = [(width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1), (8 * width, 2)]
    layers: list[nn.Module] = []
    for out, stride in plan:
        convolution = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _resnet18(channels: int) -> nn.Module:
    """torchvision's ResNet-18 with a 3x3 first convolution and no max-pool, as usual for 32x32 images."""
    net = torchvision.models.resnet18()
    net.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    net.maxpool = nn.Identity()
    net.fc = nn.Identity()
    return net
