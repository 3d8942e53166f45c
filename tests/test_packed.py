"""Packed data sets: the same images as the folder's, whole or not there at all, and no copy of them in memory."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from contrastlab import cli, data, folders, packed

RNG = np.random.RandomState(0)


def write_images(folder: Path, count: int, side: int = 8) -> None:
    folder.mkdir(parents=True)
    for i in range(count):
        Image.fromarray(RNG.randint(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / f"{i}.png")


@pytest.fixture
def pets(tmp_path):
    for kind in ("cat", "dog"):
        write_images(tmp_path / "pets" / kind, 11)
    return tmp_path / "pets"


def remains(target: Path) -> list[Path]:
    """What a pack left beside the folder of images."""
    return [path for path in target.parent.iterdir() if path.name != "pets"]


@pytest.mark.parametrize("size", [None, 5])
@pytest.mark.parametrize("ahead", [1, 3, 256])
def test_packed_images_are_those_of_the_folder_in_the_same_order(pets, tmp_path, monkeypatch, size, ahead):
    monkeypatch.setattr(folders, "AHEAD", ahead)
    packed.pack(pets, tmp_path / "new" / "packed", size)
    for split in data.SPLITS:
        mapped, decoded = data.load(tmp_path / "new" / "packed", split), data.load(pets, split, size=size)
        assert mapped.mapped and mapped.subset(1).mapped and not decoded.mapped
        assert torch.equal(mapped.images, decoded.images) and torch.equal(mapped.labels, decoded.labels)
        assert (mapped.classes, mapped.name) == (decoded.classes, decoded.name) == (("cat", "dog"), "pets")


def test_the_command_packs_and_says_where(pets, tmp_path, capsys):
    assert cli.main(["pack", str(pets), str(tmp_path / "packed"), "--size", "4"]) == 0
    assert str(tmp_path / "packed") in capsys.readouterr().out
    assert data.load(tmp_path / "packed").images.shape == (18, 3, 4, 4)
    assert cli.main(["pack", str(pets), str(tmp_path / "packed")]) == 1
    assert "exists already" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_named(tmp_path, capsys):
    assert cli.main(["pack", str(tmp_path / "nowhere"), str(tmp_path / "packed")]) == 1
    assert f"no folder {tmp_path / 'nowhere'}. Give the path of a folder of images." in capsys.readouterr().err


def test_nothing_is_replaced(pets, tmp_path):
    packed.pack(pets, tmp_path / "packed")
    before = {path: path.read_bytes() for path in (tmp_path / "packed").iterdir()}
    with pytest.raises(FileExistsError, match="packed exists already. Remove it to pack again"):
        packed.pack(pets, tmp_path / "packed", size=4)
    assert {path: path.read_bytes() for path in (tmp_path / "packed").iterdir()} == before


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_pack_that_fails_leaves_nothing(pets, tmp_path, split):
    paths, _, _ = folders.list_folder(pets, split)
    Path(paths[-1]).write_bytes(b"not an image")
    with pytest.raises(ValueError, match="cannot read the image"):
        packed.pack(pets, tmp_path / "packed")
    assert remains(tmp_path / "packed") == []


def test_a_killed_pack_leaves_nothing_that_looks_whole(pets, tmp_path):
    """Killed for real, in the middle of the second split, where no cleaning up is possible."""
    code = (
        "import os, signal, sys; from pathlib import Path; from contrastlab import packed\n"
        "write = packed._write_images\n"
        "def killed(path, paths, size):\n"
        "    write(path, paths[:2], size)\n"
        "    if 'test' in path.name: os.kill(os.getpid(), signal.SIGKILL)\n"
        "packed._write_images = killed\n"
        "packed.pack(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", code, pets, tmp_path / "packed"], check=False)
    assert done.returncode == -9
    (rest,) = remains(tmp_path / "packed")
    assert rest.name.startswith(".packed.") and not packed.is_packed(rest)
    packed.pack(pets, tmp_path / "packed")
    assert len(data.load(tmp_path / "packed")) == 18


def test_splits_of_two_sizes_and_a_target_among_the_images_are_refused(tmp_path):
    write_images(tmp_path / "pets" / "train" / "cat", 2, side=8)
    write_images(tmp_path / "pets" / "test" / "cat", 2, side=6)
    with pytest.raises(ValueError, match=r"splits differ in size \(height x width\): 8 x 8 and 6 x 6. Give size"):
        packed.pack(tmp_path / "pets", tmp_path / "packed")
    with pytest.raises(ValueError, match="would be taken for a class"):
        packed.pack(tmp_path / "pets", tmp_path / "pets" / "packed")
    assert remains(tmp_path / "packed") == []


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def of_objects(path: Path) -> None:
    np.save(path, np.array([{"no": "pickle"}]), allow_pickle=True)


def of_the_future(path: Path) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


@pytest.mark.parametrize(
    ("file", "damage", "why"),
    [
        ("train-images.npy", cut_short, "mmap length"),
        ("train-images.npy", of_objects, ""),
        ("train-labels.npy", Path.unlink, "No such file"),
        ("train-labels.npy", lambda path: np.save(path, np.arange(3)), "18 images of uint8 with 3 labels"),
        ("packed.json", cut_short, "Expecting"),
        ("packed.json", of_the_future, "its format is 99, this version of contrastlab reads 1"),
        ("packed.json", lambda path: path.write_text("{}"), "format"),
    ],
)
def test_damaged_files_are_told(pets, tmp_path, file, damage, why):
    packed.pack(pets, tmp_path / "packed")
    damage(tmp_path / "packed" / file)
    message = re.escape(f"the packed data set {tmp_path / 'packed'} is damaged: ") + f".*{re.escape(why)}.*Pack its"
    with pytest.raises(ValueError, match=message):
        data.load(tmp_path / "packed")


def test_a_size_comes_too_late(pets, tmp_path):
    packed.pack(pets, tmp_path / "packed")
    with pytest.raises(
        ValueError, match="was packed at its size. Leave size out, or pack the images again with --size"
    ):
        data.load(tmp_path / "packed", size=4)


LIMITED = """
import resource, sys
import numpy as np
import torch

MB = 2**20

def limit(growth):
    "Let this process reserve so many more bytes for itself, give or take some pages; maps of files do not count."
    reserved = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (reserved + growth, reserved + growth))
    try:
        np.ones(growth + 16 * MB, dtype=np.uint8)
        raise SystemExit("the limit limits nothing")
    except MemoryError:
        pass
"""
LARGE = (170_000, 3, 64, 64)  # 2.1 GB, of which a sparse file takes none on the disk
TRAINS = """
from contrastlab import data, views
from contrastlab.config import Config
from contrastlab.train import train

class Enough(Exception):
    pass

def after_step():
    if len(batches) == 8:
        raise Enough

batches, read, statistics = [], data.Images.pixels, views.channel_statistics
found = []
data.Images.pixels = lambda images, index, device: batches.append(index) or read(images, index, device)
views.channel_statistics = lambda images: found.append(statistics(images)) or found[-1]
used = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("RssAnon"))
limit(1024 * MB - used)
torch.set_num_threads(1)
images = data.load(sys.argv[1])
assert images.mapped and images.images.numel() > 2e9
assert images.to("cpu").images.data_ptr() == images.images.data_ptr()
try:
    train(Config(batch_size=64, width=4, dim=8), images, device="cpu", progress=False, after_step=after_step)
except Enough:
    pass
((mean, _),) = found  # of a pass over all images
assert (mean * 255 * len(images) - 2).abs().max() < 1e-2  # 2 in one image, 0 in the others
drawn = torch.cat(batches)
assert drawn.min() < len(images) / 10 and drawn.max() > len(images) * 9 / 10
assert images.images[[0, -1]].unique().tolist() == [0, 2]
print(len(drawn.unique()))
"""
PACKS = """
import threading
from contrastlab import packed

threading.stack_size(MB // 2)  # it counts as well, for as many threads as the machine likes
limit(64 * MB)
packed.pack(sys.argv[1], sys.argv[2])
"""


def run_limited(code: str, *arguments: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED + code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's own memory")
def test_two_gigabytes_of_images_are_used_with_one_of_memory(tmp_path):
    images = np.lib.format.open_memmap(tmp_path / "train-images.npy", "w+", np.uint8, LARGE)
    images[-1] = 2  # the last image is not empty, so that all have been read when the mean is right
    del images
    np.save(tmp_path / "train-labels.npy", np.zeros(LARGE[0], np.int64))
    description = {"format": packed.FORMAT, "name": "large", "classes": ["one"], "size": None}
    (tmp_path / packed.DESCRIPTION).write_text(json.dumps(description))
    assert sum(path.stat().st_blocks * 512 for path in tmp_path.iterdir()) < 2**24
    assert run_limited(TRAINS, tmp_path) == f"{8 * 64}\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's own memory")
def test_more_images_are_packed_than_memory_holds(tmp_path):
    """135 MB of pixels in the training split, packed by a process that may grow by 64 MB."""
    (tmp_path / "pets" / "cat").mkdir(parents=True)
    Image.new("RGB", (160, 160), "red").save(tmp_path / "red.png")
    for i in range(2200):
        (tmp_path / "pets" / "cat" / f"{i}.png").write_bytes((tmp_path / "red.png").read_bytes())
    run_limited(PACKS, tmp_path / "pets", tmp_path / "packed")
    images = data.load(tmp_path / "packed").images
    assert images.numel() > 2 * 64 * 2**20
    assert torch.equal(images[-1], torch.tensor([255, 0, 0], dtype=torch.uint8)[:, None, None].expand(3, 160, 160))
