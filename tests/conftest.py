"""Fixtures that more than one test file needs: a real browser, and pages served from this machine."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from contrastlab import manifest, site
from contrastlab.site.browser import BrowserMissing, chromium, served


def without_browser(reason: str) -> NoReturn:
    if os.environ.get("CONTRASTLAB_REQUIRE_BROWSER") == "1":
        pytest.fail(f"CONTRASTLAB_REQUIRE_BROWSER=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium. A module's tests share one: while Playwright's event loop runs, nothing else can run its own."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(chromium())
        except BrowserMissing as error:
            without_browser(str(error))
        yield running


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """serve(folder) -> the address of a web server on this machine that shows the folder."""
    with ExitStack() as stack:
        yield lambda folder: stack.enter_context(served(folder))


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory) -> Path:
    """The book's own site, built from the committed notebooks, alone in a folder."""
    book = manifest.load(Path(__file__).parents[1])
    return site.build(book, book.folder, tmp_path_factory.mktemp("site") / "html").parent


@pytest.fixture(scope="session")
def site_url(site_folder, serve) -> str:
    return serve(site_folder)


@pytest.fixture(scope="session")
def page_names(site_folder) -> list[str]:
    static = site_folder / "_static"
    paths = (path for path in sorted(site_folder.rglob("*.html")) if static not in path.parents)
    return [path.relative_to(site_folder).as_posix() for path in paths]


@pytest.fixture
def visit(browser) -> Iterator[Callable]:
    """visit(url, **context options) -> (page, faults): faults grows with each error and each failed request."""
    contexts = []

    def open_page(url: str, wait_until: str = "load", **options: object) -> tuple:
        context = browser.new_context(**options)
        contexts.append(context)
        page, faults = context.new_page(), []
        collect_faults(page, faults, host=url.split("/")[2])
        page.goto(url, wait_until=wait_until)
        return page, faults

    yield open_page
    for context in contexts:
        context.close()


def collect_faults(page, faults: list[str], host: str) -> None:
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
