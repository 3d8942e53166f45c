"""Make cifar10-jpeg75, CIFAR-10 as a folder of JPEG files of quality 75, on which the profile cifar10 trains.

    python data/make_cifar10_jpeg75.py [--downloads FOLDER] [--out FOLDER]

Writes OUT/train/CLASS/NNNN.jpg and OUT/test/CLASS/NNNN.jpg, where NNNN counts the images of a class in a split in the
order of CIFAR-10. torchvision downloads CIFAR-10 into DOWNLOADS if it is not there. If it was interrupted, run it
again: every file is written anew.
"""

import argparse
import io
from collections import Counter
from pathlib import Path

from PIL import Image
from torchvision.transforms.functional import to_pil_image

from contrastlab import data
from contrastlab.data import Images

QUALITY = 75
HERE = Path(__file__).resolve().parent


def jpeg(image: Image.Image) -> bytes:
    """The image as JPEG of quality 75, colours at half resolution, as Pillow writes it."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=QUALITY)
    return content.getvalue()


def write_split(images: Images, folder: Path) -> int:
    """Write the images (n, 3, H, W) to folder/CLASS/NNNN.jpg and return how many."""
    count: Counter[str] = Counter()
    for name in images.classes:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for pixels, label in zip(images.images, images.labels.tolist(), strict=True):
        name = images.classes[label]
        (folder / name / f"{count[name]:04d}.jpg").write_bytes(jpeg(to_pil_image(pixels)))
        count[name] += 1
    return count.total()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--downloads", type=Path, default=HERE / "downloads", help="where CIFAR-10 is or shall be")
    parser.add_argument("--out", type=Path, default=HERE / "downloads" / "cifar10-jpeg75")
    given = parser.parse_args(arguments)
    for split in data.SPLITS:
        count = write_split(data.load("cifar10", split, given.downloads), given.out / split)
        print(f"{given.out / split}: {count} images")


if __name__ == "__main__":
    main()
