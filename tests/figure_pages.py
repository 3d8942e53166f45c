"""Plain pages with interactive figures, laid out as the site is: for tests that need no theme around a figure."""

import math
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


def drag_round(root, name: str, degrees: float) -> None:
    """Drag a point of the anatomy figure with the mouse, along the chord, to a place on its circle."""
    mouse, point = root.page.mouse, root.get_by_role("slider", name=name, exact=True)
    point.scroll_into_view_if_needed()
    box, circle = point.locator(".disc").bounding_box(), root.locator(".round").bounding_box()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    mouse.down()
    radius, turn = circle["width"] / 2, math.radians(degrees)
    mouse.move(circle["x"] + radius * (1 + math.cos(turn)), circle["y"] + radius * (1 - math.sin(turn)), steps=5)
    mouse.up()
