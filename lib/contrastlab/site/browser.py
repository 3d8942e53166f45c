"""A browser without a window and a server for it: the tests read the site with them, and they print the book."""

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class BrowserMissing(RuntimeError):
    """There is no browser to drive; the message says how to get one."""


@contextmanager
def chromium() -> "Iterator[Browser]":
    """A running Chromium: the one that CONTRASTLAB_CHROMIUM names, else Playwright's own, else one on the PATH.

    Raises BrowserMissing without Playwright or without a browser.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise BrowserMissing("Playwright is not installed. Run `python -m pip install playwright`.") from error
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=_find(Path(playwright.chromium.executable_path)), args=list(OPTIONS)
        )
        yield running
        running.close()


def _find(own: Path) -> str:
    if named := os.environ.get("CONTRASTLAB_CHROMIUM"):
        return named
    found = str(own) if own.is_file() else next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise BrowserMissing(
            "no Chromium found. Run `python -m playwright install chromium` or `apt-get install chromium`, or name "
            "yours in CONTRASTLAB_CHROMIUM."
        )
    return found


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server on this machine that shows the folder; a page's scripts need one."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_QuietHandler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
