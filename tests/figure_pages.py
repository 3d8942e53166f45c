"""Plain pages with interactive figures, laid out as the site is: for tests that need no theme around a figure."""

import shutil
from pathlib import Path

from contrastlab import widgets

PACKAGE = Path(widgets.__file__).parents[1]
HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
ICON = '<link rel="icon" href="data:,"><title>figure</title>'
MOUNT = '<script type="module" src="_static/mount.js"></script>'
BOTH_SCHEMES = "<style>body { color-scheme: light dark; background: Canvas; color: CanvasText }</style>"


def lay_out(folder: Path) -> Path:
    """Put the mounter and every figure's modules where a page in the folder looks for them; returns the folder."""
    (folder / "_static" / "widgets").mkdir(parents=True)
    shutil.copy(PACKAGE / "site" / "static" / "mount.js", folder / "_static")
    for module in (PACKAGE / "widgets").glob("*.mjs"):
        shutil.copy(module, folder / "_static" / "widgets")
    return folder


def write_page(path: Path, body: str) -> None:
    """A page that holds the body, a figure's twin for instance, and brings its figures to life."""
    path.write_text(f"{HEAD}{BOTH_SCHEMES}{ICON}{body}{MOUNT}", encoding="utf-8")
