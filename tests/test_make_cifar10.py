"""The folder of JPEG files that the profile cifar10 trains on, made from a tiny stand-in for CIFAR-10."""

import importlib.util

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from contrastlab import data
from contrastlab.files import repository_root


@pytest.fixture
def maker():
    path = repository_root() / "data" / "make_cifar10_jpeg75.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cifar10(monkeypatch):
    """Splits of smooth images, of which the two classes come in turn, twice."""

    def load(name, split, folder):
        ramp = torch.arange(32).float().expand(3, 32, 32)
        images = torch.stack([ramp * (1 + i) + 20 * (split == "test") for i in range(4)]).to(torch.uint8)
        return data.Images(images, torch.tensor([1, 0, 1, 0]), ("airplane", "truck"), name)

    monkeypatch.setattr(data, "load", load)
    return load


def test_files_count_within_a_class_and_split(maker, cifar10, tmp_path, capsys):
    maker.main(["--out", str(tmp_path / "made")])
    files = sorted(path.relative_to(tmp_path / "made").as_posix() for path in tmp_path.rglob("*.jpg"))
    names = [f"{name}/000{i}.jpg" for name in ("airplane", "truck") for i in (0, 1)]
    assert files == [f"{split}/{name}" for split in ("test", "train") for name in names]
    assert capsys.readouterr().out.count(": 4 images\n") == 2
    for split in data.SPLITS:
        source = cifar10("cifar10", split, None)
        for name, position in (("truck/0000", 0), ("airplane/0000", 1), ("truck/0001", 2), ("airplane/0001", 3)):
            with Image.open(tmp_path / "made" / split / f"{name}.jpg") as image:
                assert (image.format, image.size) == ("JPEG", (32, 32))
                read = pil_to_tensor(image).float()
            assert (read - source.images[position]).abs().mean() < 3, "another image"


def test_quality_is_75_and_the_bytes_are_the_same_each_time(maker):
    image = Image.linear_gradient("L").convert("RGB").resize((32, 32))
    assert maker.jpeg(image) == maker.jpeg(image)
    with Image.open(maker.io.BytesIO(maker.jpeg(image))) as read:
        assert read.quantization[0][0] == 8, "16 of the standard's table, halved, is quality 75"
