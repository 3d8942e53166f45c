"""Each reader on small files in the real format on disk, and what a learner is told when files are not as needed."""

import gzip
import hashlib
import importlib.util
import pickle
import re
import struct
import tarfile
import urllib.error
import urllib.request
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torchvision import datasets

from contrastlab import data
from contrastlab.data import Images, load
from contrastlab.files import repository_root, sha256
from contrastlab.packed import pack

RNG = np.random.RandomState(0)
DATA = repository_root() / "data"


def no_network(*_, **__):
    raise urllib.error.URLError("no route to host")


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", no_network)


def pixels(*shape):
    return RNG.randint(0, 256, shape, dtype=np.uint8)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def write_idx(path: Path, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes(), mtime=0))


def write_fashion_mnist(folder: Path, train: int, test: int) -> dict[str, np.ndarray]:
    """The four idx .gz files of Fashion-MNIST with the classes in turn."""
    folder.mkdir(parents=True)
    arrays = {}
    for split, prefix, n in (("train", "train", train), ("test", "t10k", test)):
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = pixels(n, 28, 28), np.arange(n) % 10
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", arrays[f"{split}_images"])
        write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", arrays[f"{split}_labels"])
    return arrays


def write_cifar(folder: Path, reader: type[datasets.CIFAR10], label_key: str, names: list[str]) -> dict:
    """Pickled batches of 3 images each, as CIFAR's Python version has them. Returns what is in each file."""
    base = folder / reader.base_folder
    base.mkdir(parents=True)
    batches = {}
    for file, _ in reader.train_list + reader.test_list:
        batches[file] = {"data": pixels(3, 3072), label_key: RNG.randint(0, len(names), 3).tolist()}
        (base / file).write_bytes(pickle.dumps(batches[file], protocol=2))
    (base / reader.meta["filename"]).write_bytes(pickle.dumps({reader.meta["key"]: names}, protocol=2))
    return batches


def accept_cifar(monkeypatch, folder: Path, reader: type[datasets.CIFAR10]) -> None:
    """Have torchvision, which knows the checksums of the real files, expect those of the small ones."""
    base = folder / reader.base_folder
    for files in ("train_list", "test_list"):
        monkeypatch.setattr(reader, files, [[file, md5(base / file)] for file, _ in getattr(reader, files)])
    monkeypatch.setattr(reader, "meta", reader.meta | {"md5": md5(base / reader.meta["filename"])})


def write_images(folder: Path, names: list[str], size=(8, 6), suffix=".png") -> None:
    folder.mkdir(parents=True)
    for name in names:
        Image.fromarray(pixels(size[1], size[0], 3)).save(folder / f"{name}{suffix}")


def maker():
    spec = importlib.util.spec_from_file_location("make_fashion_mini", DATA / "make_fashion_mini.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_images_move_and_shrink_together():
    images = Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 1, 0]), ("a", "b"), "tiny")
    part = images.subset(3)
    assert (len(part), part.labels.tolist(), part.classes, part.name) == (3, [0, 1, 1], ("a", "b"), "tiny")
    assert part.to("meta").images.device.type == part.to("meta").labels.device.type == "meta"
    for n in (0, 5):
        with pytest.raises(ValueError, match=f"tiny holds 4 images, so n must be from 1 to 4, got {n}"):
            images.subset(n)


def test_images_of_another_type_are_refused():
    with pytest.raises(
        ValueError, match=r"shape \(n, C, H, W\) and type torch.uint8, got \(4, 2, 2\) and torch.float32"
    ):
        Images(torch.zeros(4, 2, 2), torch.zeros(4).long(), ("a",), "x")
    with pytest.raises(ValueError, match=r"label for each of 4 images, got labels of shape \(3,\)"):
        Images(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(3).long(), ("a",), "x")


@pytest.mark.parametrize(("split", "per_class"), [("train", 1000), ("test", 200)])
def test_fashion_mini_is_balanced(split, per_class):
    images = load("fashion-mini", split)
    assert images.images.shape == (10 * per_class, 1, 28, 28) and images.images.dtype == torch.uint8
    assert images.labels.dtype == torch.int64 and images.labels.bincount().tolist() == [per_class] * 10
    assert images.classes == tuple(datasets.FashionMNIST.classes)
    assert images.subset(205).labels.bincount().tolist().count(20) == 5
    assert len(images.images.flatten(1).unique(dim=0)) == len(images)


def test_fashion_mini_splits_share_no_image():
    both = torch.cat([load("fashion-mini", split).images.flatten(1) for split in ("train", "test")])
    assert len(both.unique(dim=0)) == 12_000


def test_fashion_mini_looks_like_its_labels():
    """A nearest class mean gets two thirds right; with shuffled labels it would get a tenth."""
    train, test = load("fashion-mini"), load("fashion-mini", "test")
    means = torch.stack([train.images[train.labels == label].float().mean(dim=0) for label in range(10)])
    nearest = torch.cdist(test.images.float().flatten(1), means.flatten(1)).argmin(dim=1)
    assert (nearest == test.labels).float().mean() > 0.6


def test_checksum_is_the_documented_one():
    assert sha256(DATA / "fashion-mini.npz") == data.EMBEDDED_SHA256
    assert data.EMBEDDED_SHA256 in (DATA / "README.md").read_text()


@pytest.mark.parametrize("damage", [lambda c: c[:3_000_000], lambda c: c[:-1] + b"!", lambda c: b""])
def test_damaged_fashion_mini_is_named_and_left_alone(tmp_path, damage):
    path = tmp_path / "fashion-mini.npz"
    damaged = damage((DATA / "fashion-mini.npz").read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=re.escape(f"{path} is damaged or was changed: {len(damaged)} bytes")) as error:
        load("fashion-mini", folder=tmp_path)
    assert "git checkout -- data/fashion-mini.npz" in str(error.value)
    assert path.read_bytes() == damaged and list(tmp_path.iterdir()) == [path]


def test_missing_fashion_mini_says_how_to_get_it(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"fashion-mini.npz is missing. Get the original back with: git checkout"
    ):
        load("fashion-mini", folder=tmp_path)


def test_maker_repeats_its_bytes_and_keeps_the_splits_apart(tmp_path, capsys):
    arrays = write_fashion_mnist(tmp_path / "idx", train=40, test=30)
    make = maker()
    for name in ("a.npz", "b.npz"):
        sizes = ["--train-per-class", "3", "--test-per-class", "2"]
        make.main([str(tmp_path / "idx"), "--out", str(tmp_path / name), *sizes])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    assert sha256(tmp_path / "a.npz") in capsys.readouterr().out
    made = np.load(tmp_path / "a.npz", allow_pickle=False)
    assert made["classes"].tolist() == datasets.FashionMNIST.classes
    for split, per_class in (("train", 3), ("test", 2)):
        assert np.bincount(made[f"{split}_labels"]).tolist() == [per_class] * 10
        label_of = {
            image.tobytes(): label
            for image, label in zip(arrays[f"{split}_images"], arrays[f"{split}_labels"], strict=True)
        }
        chosen = [image.tobytes() for image in made[f"{split}_images"]]
        assert [label_of[image] for image in chosen] == made[f"{split}_labels"].tolist()
        assert len(set(chosen)) == 10 * per_class


def test_maker_refuses_what_it_cannot_use(tmp_path):
    write_fashion_mnist(tmp_path / "idx", train=20, test=20)
    with pytest.raises(ValueError, match="class 'T-shirt/top' has 2 images, but 1000 are needed"):
        maker().main([str(tmp_path / "idx"), "--out", str(tmp_path / "x.npz")])
    path = tmp_path / "idx" / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(b"PNG of a shirt"))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is no idx file of unsigned bytes"):
        maker().main([str(tmp_path / "idx"), "--out", str(tmp_path / "x.npz")])
    assert not (tmp_path / "x.npz").exists()


def test_fashion_mnist_reads_the_published_idx_files(tmp_path, monkeypatch, offline):
    raw = tmp_path / "FashionMNIST" / "raw"
    arrays = write_fashion_mnist(raw, train=12, test=11)
    published = [(file, md5(raw / file)) for file, _ in datasets.FashionMNIST.resources]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", published)
    for split in ("train", "test"):
        images = load("fashion-mnist", split, folder=tmp_path)
        assert torch.equal(images.images[:, 0], torch.from_numpy(arrays[f"{split}_images"]))
        assert images.labels.tolist() == arrays[f"{split}_labels"].tolist()
        assert images.name == "fashion-mnist" and images.classes[9] == "Ankle boot"


@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
@pytest.mark.parametrize("kept", [0, 6, 15])
def test_damaged_fashion_mnist_is_named(tmp_path, offline, file, kept):
    raw = tmp_path / "FashionMNIST" / "raw"
    write_fashion_mnist(raw, train=12, test=11)
    for packed in raw.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    (raw / file).write_bytes((raw / file).read_bytes()[:kept])
    with pytest.raises(
        ValueError, match=re.escape(f"the train files of fashion-mnist in {raw} are damaged or cut short")
    ):
        load("fashion-mnist", folder=tmp_path)


def test_cifar10_reads_pickled_batches(tmp_path, monkeypatch, offline):
    names = [f"class {i}" for i in range(10)]
    batches = write_cifar(tmp_path, datasets.CIFAR10, "labels", names)
    accept_cifar(monkeypatch, tmp_path, datasets.CIFAR10)
    train, test = load("cifar10", folder=tmp_path), load("cifar10", "test", folder=tmp_path)
    assert (len(train), len(test), train.classes) == (15, 3, tuple(names))
    last = batches["data_batch_5"]
    assert torch.equal(train.images[12:], torch.from_numpy(last["data"]).view(3, 3, 32, 32))
    assert train.images.is_contiguous() and train.labels[12:].tolist() == last["labels"]
    assert torch.equal(test.images, torch.from_numpy(batches["test_batch"]["data"]).view(3, 3, 32, 32))


def test_cifar100_reads_its_fine_labels(tmp_path, monkeypatch, offline):
    names = [f"fine {i}" for i in range(100)]
    batches = write_cifar(tmp_path, datasets.CIFAR100, "fine_labels", names)
    accept_cifar(monkeypatch, tmp_path, datasets.CIFAR100)
    for split in ("train", "test"):
        images = load("cifar100", split, folder=tmp_path)
        assert torch.equal(images.images, torch.from_numpy(batches[split]["data"]).view(3, 3, 32, 32))
        assert images.labels.tolist() == batches[split]["fine_labels"] and images.classes == tuple(names)


def test_svhn_reads_matlab_files(tmp_path, monkeypatch, offline):
    images = pixels(32, 32, 3, 4)
    scipy.io.savemat(tmp_path / "test_32x32.mat", {"X": images, "y": np.array([[10], [1], [9], [10]], np.uint8)})
    address, file, _ = datasets.SVHN.split_list["test"]
    accepted = datasets.SVHN.split_list | {"test": [address, file, md5(tmp_path / file)]}
    monkeypatch.setattr(datasets.SVHN, "split_list", accepted)
    test = load("svhn", "test", folder=tmp_path)
    assert torch.equal(test.images, torch.from_numpy(images.transpose(3, 2, 0, 1).copy()))
    assert test.images.is_contiguous()
    assert [test.classes[label] for label in test.labels] == ["0", "1", "9", "0"]  # the file writes a zero as 10


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of a web server on this machine, and the folder it serves."""
    folder = tmp_path / "server"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "*")
    handler = partial(SilentHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()


class SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_download_arrives_and_is_not_repeated(tmp_path, monkeypatch, server):
    address, folder = server
    write_cifar(folder, datasets.CIFAR10, "labels", ["a", "b"])
    accept_cifar(monkeypatch, folder, datasets.CIFAR10)
    archive = folder / datasets.CIFAR10.filename
    with tarfile.open(archive, "w:gz") as file:
        file.add(folder / datasets.CIFAR10.base_folder, datasets.CIFAR10.base_folder)
    monkeypatch.setattr(datasets.CIFAR10, "url", f"{address}/{archive.name}")
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    first = load("cifar10", folder=tmp_path / "downloads")
    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    assert torch.equal(load("cifar10", folder=tmp_path / "downloads").images, first.images)


@pytest.mark.parametrize(
    ("name", "files", "place"),
    [
        ("fashion-mnist", "the four idx .gz files from https://github.com/", "FashionMNIST/raw"),
        ("cifar10", "cifar-10-python.tar.gz from https://", ""),
        ("cifar100", "cifar-100-python.tar.gz from https://", ""),
        ("svhn", "train_32x32.mat and test_32x32.mat from http://", ""),
    ],
)
def test_no_network_says_what_to_do(tmp_path, offline, name, files, place):
    with pytest.raises(ConnectionError) as error:
        load(name, folder=tmp_path)
    message = str(error.value)
    assert message.startswith(f"{name} is missing or incomplete in {tmp_path}, and its download failed: ")
    assert "no route to host" in message and f"put {files}" in message and f"into {tmp_path / place} by hand" in message
    assert message.endswith("Or use 'fashion-mini', which needs no download.")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, offline):
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(PermissionError, match=re.escape(f"cannot write into {folder}")):
            load("cifar10", folder=folder)


def test_files_that_are_there_are_read_without_writing(tmp_path, monkeypatch, offline):
    write_cifar(tmp_path, datasets.CIFAR10, "labels", ["a", "b"])
    accept_cifar(monkeypatch, tmp_path, datasets.CIFAR10)

    def refuse(folder):
        raise AssertionError(f"wrote into {folder}")

    monkeypatch.setattr(data, "ensure_writable", refuse)
    assert len(load("cifar10", folder=tmp_path)) == 15


@pytest.mark.parametrize(
    ("given", "near"), [("cifar-10", "cifar10"), ("fashionmini", "fashion-mini"), ("SVHN ", None), ("zebra", None)]
)
def test_unknown_name_tells_the_near_match(given, near):
    hint = f"Did you mean '{near}'? " if near else ""
    expected = (
        f"unknown data set or folder '{given}'. {hint}Known: fashion-mini, fashion-mnist, cifar10, cifar100, svhn"
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        load(given)


@pytest.mark.parametrize("split", ["val", "Train", ""])
def test_wrong_split_names_the_right_ones(split):
    with pytest.raises(ValueError, match=rf"unknown split '{split}'.*Known: train, test"):
        load("fashion-mini", split)


def test_size_is_refused_where_it_has_no_effect():
    with pytest.raises(ValueError, match="size is for a folder of images, but fashion-mini has its own"):
        load("fashion-mini", size=32)


@pytest.mark.parametrize("test_folder", ["test", "val"])
def test_folder_with_splits(tmp_path, test_folder):
    for split, count in (("train", 5), (test_folder, 2)):
        for kind in ("cat", "dog"):
            write_images(tmp_path / "pets" / split / kind, [f"{kind}{i}" for i in range(count)])
    train, test = (load(tmp_path / "pets", split) for split in ("train", "test"))
    assert (train.images.shape, train.classes, train.name) == ((10, 3, 6, 8), ("cat", "dog"), "pets")
    assert (len(test), test.labels.bincount().tolist()) == (4, [2, 2])
    stored = {
        np.asarray(Image.open(path)).tobytes(): path.parent.name for path in (tmp_path / "pets/train").rglob("*.png")
    }
    for image, label in zip(train.images, train.labels, strict=True):
        assert stored[image.permute(1, 2, 0).contiguous().numpy().tobytes()] == train.classes[label]


def test_folder_without_splits_holds_out_every_fifth(tmp_path):
    for kind, count in (("cat", 11), ("dog", 5)):
        folder = tmp_path / kind
        folder.mkdir()
        for i in range(1, count + 1):
            Image.new("RGB", (4, 4), (i, 0, kind == "dog")).save(folder / f"{i:02}.png")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / "._01.png").write_bytes(b"what macOS leaves behind")
    train, test = (load(str(tmp_path), split) for split in ("train", "test"))
    held_out = {
        (int(image[0, 0, 0]), test.classes[label]) for image, label in zip(test.images, test.labels, strict=True)
    }
    assert held_out == {(5, "cat"), (10, "cat"), (5, "dog")}
    assert (len(train), train.classes) == (13, ("cat", "dog"))
    assert torch.equal(train.images[:, 2, 0, 0], train.labels.to(torch.uint8))
    assert train.labels.tolist() != sorted(train.labels.tolist()), "the classes must be mixed"
    assert torch.equal(load(str(tmp_path)).images, train.images)


def test_folder_of_several_sizes_needs_one_and_crops_the_centre(tmp_path):
    wide = np.zeros((8, 16, 3), np.uint8)
    wide[:, 4:12] = 200  # the central square
    tall = wide.transpose(1, 0, 2)
    for kind, image in (("a", wide), ("b", tall)):
        for split in ("train", "test"):
            (tmp_path / split / kind).mkdir(parents=True)
            Image.fromarray(image).save(tmp_path / split / kind / "one.jpg", quality=100)
    with pytest.raises(
        ValueError, match=r"differ in size: .*one.jpg is (16 x 8|8 x 16), .*one.jpg is .*Give size=32"
    ) as error:
        load(tmp_path)
    assert str(tmp_path / "train" / "a" / "one.jpg") in str(error.value)
    images = load(tmp_path, size=4).images
    assert images.shape == (2, 3, 4, 4) and (images.float() - 200).abs().max() < 30
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        load(tmp_path, size=0)


def test_grey_and_transparent_images_become_rgb(tmp_path):
    for split in ("train", "test"):
        folder = tmp_path / split / "one"
        folder.mkdir(parents=True)
        for mode in ("L", "RGBA", "P", "1"):
            Image.new(mode, (4, 4), 1).save(folder / f"{mode}.png")
    assert load(tmp_path).images.shape == (4, 3, 4, 4)


def test_unreadable_image_is_named(tmp_path):
    write_images(tmp_path / "cat", [str(i) for i in range(5)], size=(32, 32))
    broken = tmp_path / "cat" / "3.png"
    for content in (b"not an image", broken.read_bytes()[:500]):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(f"cannot read the image {broken}: ")):
            load(tmp_path)


def test_an_image_too_large_to_be_one_is_named(tmp_path, monkeypatch):
    write_images(tmp_path / "cat", [str(i) for i in range(5)], size=(32, 32))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ValueError, match=r"cannot read the image .*decompression bomb.* Remove or replace it"):
        load(tmp_path)


def test_images_are_counted_without_a_look_at_their_pixels(tmp_path):
    for split in ("train", "test"):
        assert data.count("fashion-mini", split) == len(load("fashion-mini", split))
    assert set(data.SIZES) == set(data.NAMES)
    write_images(tmp_path / "pets" / "cat", [str(i) for i in range(11)])
    pack(tmp_path / "pets", tmp_path / "packed")
    for path in (tmp_path / "pets" / "cat").iterdir():
        path.write_bytes(b"not an image")
    for folder in ("pets", "packed"):
        assert [data.count(tmp_path / folder, split) for split in ("train", "test")] == [9, 2]
    assert data.count(tmp_path / "nowhere") is data.count(tmp_path) is None


def test_folders_without_what_is_needed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no class folders in .*Expected one folder a class"):
        load(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere. Give the path of a folder of images, or one of"):
        load(tmp_path / "nowhere")
    write_images(tmp_path / "flat" / "cat", ["a", "b", "c", "d"])
    (tmp_path / "flat" / "dog").mkdir()
    with pytest.raises(FileNotFoundError, match=r"class\(es\) cat, dog: each needs at least 5"):
        load(tmp_path / "flat")
    write_images(tmp_path / "half" / "train" / "cat", ["a"])
    with pytest.raises(FileNotFoundError, match="half holds split folders, but not val"):
        load(tmp_path / "half")
    write_images(tmp_path / "half" / "test" / "dog", ["a"])
    with pytest.raises(ValueError, match="hold different classes, only one of them has: cat, dog"):
        load(tmp_path / "half")
