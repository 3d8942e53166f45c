"""What the commands do: study, book, site, notebooks, test and more. Imports are inside: each starts at once."""

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .manifest import Manifest

BUILD = "_build"
COVER = "cover.png"


class JobFailed(RuntimeError):
    """A command ended with something that its user can act on."""


def study(manifest: Manifest, options: Sequence[str] = ()) -> None:
    """Open JupyterLab on the first chapter, with the options for it; returns when the reader ends it.

    The notebook is the committed one, or, if it is not there, one made from the source without outputs.
    """
    _need("jupyterlab", "book")
    first = manifest.chapters[0]
    page = manifest.folder / f"{first.file}.ipynb"
    if not page.is_file():
        from .files import write_atomically
        from .notebooks import source_to_notebook, to_bytes

        write_atomically(page, to_bytes(source_to_notebook(manifest.sources([first])[0])))
    # Not the page as an argument: then the address that is printed would lead elsewhere, where no browser can open.
    at = f"--LabApp.default_url=/lab/tree/{page.relative_to(manifest.root).as_posix()}"
    lab = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={manifest.root}", at, *options]
    if code := subprocess.run(lab, cwd=manifest.root, check=False).returncode:
        raise JobFailed(f"JupyterLab ended with code {code}. Its last lines above say why.")


def book(manifest: Manifest) -> None:
    """Run every chapter under _build and build the website from that run; the checkout stays as it is."""
    _need("sphinx", "book")
    from . import notebooks, site

    sources = manifest.sources(manifest.chapters)
    print(f"Running {len(sources)} chapters, {notebooks.KERNELS} at a time", flush=True)
    notebooks.execute(sources, manifest.root / BUILD / "chapters", _say)
    _say(f"The book is at {site.build(manifest, manifest.root / BUILD / 'chapters', manifest.root / BUILD / 'site')}")


def book_for_myst(manifest: Manifest) -> None:
    """Write myst.yml, and what it lists, for Jupyter Book 2, from the committed notebooks."""
    _need("nbformat", "book")
    from .site import myst

    folder = myst.write(manifest, manifest.folder, manifest.root / BUILD / "myst").parent
    _say(f"Jupyter Book 2 reads {folder}: change into it and run `jupyter book start` (extra `jupyterbook`).")


def links(manifest: Manifest, check: bool = False) -> None:
    """List the book's links to other hosts, each with the first page that names it; with check, ask each host."""
    _need("sphinx", "book")
    from .site.links import external

    found = external(manifest, manifest.folder, check=check)
    for link in found:
        print(f"{link.address}  ({link.page})" + (f": {link.fault}" if link.fault else ""))
    if broken := sum(bool(link.fault) for link in found):
        lead = "1 link leads" if broken == 1 else f"{broken} links lead"
        raise JobFailed(f"{lead} nowhere; what was found stands behind each.")


def site(manifest: Manifest) -> None:
    """Build the website from the committed notebooks, without running them."""
    _need("sphinx", "book")
    from . import site

    _say(f"The book is at {site.build(manifest, manifest.folder, manifest.root / BUILD / 'site')}")


def pdf(manifest: Manifest) -> None:
    """Print the whole book, from the committed notebooks, to a PDF."""
    _need("sphinx", "book")
    from .site import pdf

    _say(f"The book is at {pdf.write(manifest, manifest.folder, manifest.root / BUILD / 'book.pdf')}")


def notebooks(manifest: Manifest, names: Sequence[str] = ()) -> None:
    """Run the named chapters, or all of them, and rewrite the committed .ipynb beside each source."""
    chapters = manifest.select(names)
    _need("nbclient", "book")
    from . import notebooks
    from .files import write_atomically

    for path in notebooks.execute(manifest.sources(chapters), manifest.folder, _say):
        if (picture := notebooks.picture(path, manifest.cover)) is not None:
            write_atomically(manifest.folder / COVER, picture)


def test(manifest: Manifest) -> None:
    """Run the linter, the tests and every notebook, each to its end; raise JobFailed naming those that failed."""
    _need("nbval", "test")
    from .notebooks import kernel_environment

    pages = [str(path.with_suffix(".ipynb")) for path in manifest.sources(manifest.chapters)]
    python = [sys.executable, "-m"]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=120", "--nbval-sanitize-with=tests/nbval.cfg"]
    checks = {
        "lint": [*python, "ruff", "check", "."],
        "tests": [*python, "pytest", "tests"],
        "notebooks": [*python, "pytest", *nbval, *pages],
    }
    environment = {"notebooks": kernel_environment()}
    failed = [name for name, command in checks.items() if _run(name, command, manifest.root, environment.get(name))]
    if failed:
        raise JobFailed(f"failed: {', '.join(failed)}. The output above says where.")


def sweep(
    manifest: Manifest,
    profiles: Sequence[str],
    jobs: int | None = None,
    records: str | None = None,
    dask: str | None = None,
) -> None:
    """Train and measure everything that these profiles of book.toml ask for and that is not recorded yet."""
    for profile in profiles:
        manifest.profile(profile)  # a wrong name is told before PyTorch takes its seconds to load
    from .sweep import run_sweep

    for profile in profiles:
        run_sweep(profile, manifest.root, jobs, root=Path(records) if records else None, dask=dask)


def claims(manifest: Manifest, target: str | None = None, records: str | None = None) -> None:
    """Print the ledger of the paper's claims, computed from the records, and write it as JSON where asked.

    records: a folder with a reader's own; their verdicts are then set beside the book's.
    """
    from .claims import gaps, ledger, text
    from .files import write_atomically

    root = Path(records) if records else None
    rows = ledger.ledger(manifest.root, root)
    open_points = gaps.gaps(ledger.studies(manifest.root, root), manifest.root)
    _say(text.as_text(rows, open_points))
    if records:
        _say(text.comparison(rows, manifest.root / "data" / "claims.json"))
    if target:
        write_atomically(Path(target), text.to_bytes(rows, open_points))


def train(options: Sequence[str]) -> None:
    """Train one encoder with the options of `contrastlab train`."""
    from .train_command import run

    run(options)


def pack(folder: str, target: str, size: int | None) -> None:
    """Pack a folder of images into the folder target."""
    from .packed import pack

    pack(Path(folder), Path(target), size)
    _say(f"The images are packed in {target}. Name that folder instead of {folder}.")


def bench(manifest: Manifest, parts: Sequence[str], quick: bool) -> None:
    """Measure the parts beside others and write the table under _build/bench."""
    from . import bench

    for peer in bench.PEERS if set(parts) & set(bench.WITH_PEERS) else ():
        _need(peer, "bench")
    _say(f"The table is in {bench.run(manifest, parts, quick, manifest.root / BUILD / 'bench')}")


def _run(name: str, command: list[str], folder: Path, environment: dict[str, str] | None = None) -> int:
    _say(f"== {name}: {' '.join(['python', *command[1:]])}")
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def _need(module: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise JobFailed(f"{module} is not installed. Run `make {extra}`, or `pip install -e '.[book,test,bench]'`.")


def _say(text: str) -> None:
    print(text, flush=True)
