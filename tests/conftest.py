"""Fixtures that more than one test file needs: a real browser, and pages served from this machine."""

import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NoReturn

import pytest

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
NO_PLAYWRIGHT = "Playwright is not installed. To enable the browser tests run `python -m pip install playwright`."
NO_BROWSER = (
    "no Chromium found. To enable the browser tests run `python -m playwright install chromium` "
    "or `apt-get install chromium`, or name yours in CONTRASTLAB_CHROMIUM."
)


def find_chromium(own: Path) -> str | None:
    """The browser to drive: the one the environment names, else Playwright's own, else one on the PATH."""
    if named := os.environ.get("CONTRASTLAB_CHROMIUM"):
        return named
    if own.is_file():
        return str(own)
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def without_browser(reason: str) -> NoReturn:
    if os.environ.get("CONTRASTLAB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"CONTRASTLAB_REQUIRE_BROWSER=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium. A module's tests share one: while Playwright's event loop runs, nothing else can run its own."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without_browser(NO_PLAYWRIGHT)
    with sync_playwright() as playwright:
        chromium = find_chromium(Path(playwright.chromium.executable_path))
        if chromium is None:
            without_browser(NO_BROWSER)
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_OPTIONS))
        yield running
        running.close()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """serve(folder) -> the address of a web server on this machine that shows the folder."""
    servers = []

    def start(folder: Path) -> str:
        handler = functools.partial(_QuietHandler, directory=str(folder))
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """visit(url, **context options) -> (page, faults): faults grows with each error and each failed request."""
    contexts = []

    def open_page(url: str, wait_until: str = "load", **options: object) -> tuple:
        context = browser.new_context(**options)
        contexts.append(context)
        page, faults = context.new_page(), []
        _collect_faults(page, faults, host=url.split("/")[2])
        page.goto(url, wait_until=wait_until)
        return page, faults

    yield open_page
    for context in contexts:
        context.close()


def _collect_faults(page, faults: list[str], host: str) -> None:
    def check_request(request) -> None:
        if not request.url.startswith((f"http://{host}/", "data:", "blob:")):
            faults.append(f"request to another host: {request.url}")

    def check_response(response) -> None:
        if response.status >= 400:
            faults.append(f"status {response.status}: {response.url}")

    page.on("console", lambda message: message.type == "error" and faults.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: faults.append(f"page error: {error}"))
    page.on("requestfailed", lambda request: faults.append(f"request failed: {request.url} ({request.failure})"))
    page.on("request", check_request)
    page.on("response", check_response)
