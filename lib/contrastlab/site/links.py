"""Links to other hosts: listed without asking anyone, or asked one by one by Sphinx's own linkcheck."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..manifest import Manifest
from . import SiteError, stage


@dataclass(frozen=True)
class Link:
    """An address, the page that names it first, and why it leads nowhere: empty if it does not, or was not asked."""

    address: str
    page: str
    fault: str = ""


def external(book: Manifest, notebooks: Path, *, check: bool = False) -> list[Link]:
    """The book's links to other hosts, in the order of their addresses; with check, each host is asked.

    Raises SiteError if Sphinx cannot read the book.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "source", Path(folder) / "links"
        stage(book, Path(notebooks), source)
        command = [sys.executable, "-m", "sphinx", "-b", "linkcheck", "--quiet", "--no-color"]
        silent = [] if check else ["-D", "linkcheck_ignore=.*"]
        done = subprocess.run([*command, *silent, source, output], capture_output=True, text=True, check=False)
        report = output / "output.json"
        if not report.is_file():
            raise SiteError(f"the book's links could not be read:\n{done.stderr.replace(f'{source}/', '').rstrip()}")
        found = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    links = [
        Link(entry["uri"], Path(entry["filename"]).stem, entry["info"] if entry["status"] == "broken" else "")
        for entry in found
        if entry["uri"].startswith("http")
    ]
    return sorted(links, key=lambda link: link.address)
