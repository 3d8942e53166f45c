"""The command line: `python -m contrastlab study|book|site|pdf|links|notebooks|test|sweep|claims|train|pack|bench`."""

import argparse
import sys
from collections.abc import Sequence

from . import bench, jobs, manifest, names

WRONG_USE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted."""
    parser = _parser()
    asked, asked.others = parser.parse_known_args(arguments)
    if asked.others and asked.command not in ("study", "train"):
        parser.error(f"unrecognized arguments: {' '.join(asked.others)}")
    try:
        _do(asked)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if asked.debug or not _is_for_the_reader(error):
            raise
        print(f"contrastlab {asked.command}: {error}", file=sys.stderr)
        return WRONG_USE if isinstance(error, names.UnknownName) else FAILED
    return 0


def _do(asked: argparse.Namespace) -> None:
    book = manifest.load()
    if asked.command == "sweep":
        jobs.sweep(book, asked.profile, asked.jobs, asked.records, asked.dask)
    elif asked.command == "links":
        jobs.links(book, asked.check)
    elif asked.command == "claims":
        jobs.claims(book, asked.json, asked.records)
    elif asked.command == "book":
        jobs.book_for_myst(book) if asked.myst else jobs.book(book)
    elif asked.command == "notebooks":
        jobs.notebooks(book, asked.chapters)
    elif asked.command == "study":
        jobs.study(book, asked.others)
    elif asked.command == "train":
        jobs.train(asked.others)
    elif asked.command == "pack":
        jobs.pack(asked.folder, asked.target, asked.size)
    elif asked.command == "bench":
        jobs.bench(book, asked.only or bench.PARTS, asked.quick)
    else:
        getattr(jobs, asked.command)(book)


def _is_for_the_reader(error: Exception) -> bool:
    """Whether the message alone tells what to do: the library's own checks, and what the system refuses."""
    if isinstance(error, ValueError | OSError | FloatingPointError):
        return True
    return type(error).__module__.startswith("contrastlab.")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="contrastlab", description="Read, run, build and test the book.")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("study", help="open JupyterLab at the book's first page; further options go to JupyterLab")
    whole = commands.add_parser("book", help="run every chapter and build the website from that run in _build/site")
    whole.add_argument(
        "--myst", action="store_true", help="write _build/myst for Jupyter Book 2 instead, from the committed notebooks"
    )
    commands.add_parser("site", help="build the website in _build/site from the committed notebooks")
    commands.add_parser("pdf", help="print the book from the committed notebooks to _build/book.pdf")
    links = commands.add_parser("links", help="list the book's links to other hosts")
    links.add_argument("--check", action="store_true", help="ask each host, over the network, whether it still answers")
    notebooks = commands.add_parser("notebooks", help="run chapters and rewrite the committed .ipynb beside each .md")
    notebooks.add_argument("chapters", nargs="*", metavar="CHAPTER", help="a number or a file name; none means all")
    commands.add_parser("test", help="run the linter, the tests and every notebook")
    sweep = commands.add_parser("sweep", help="train and measure what profiles of book.toml ask for")
    sweep.add_argument(
        "--profile", required=True, nargs="+", metavar="NAME", help="tables under [profiles] in book.toml, in order"
    )
    sweep.add_argument("--jobs", type=_positive, metavar="N", help="runs at a time; one a core, or one on a GPU")
    sweep.add_argument("--records", metavar="FOLDER", help="keep records and checkpoints under FOLDER, not in the book")
    sweep.add_argument("--dask", metavar="ADDRESS", help="do the runs on a Dask cluster, such as tcp://head:8786")
    claims = commands.add_parser("claims", help="print the ledger: each claim of the paper, the numbers, the verdict")
    claims.add_argument("--json", metavar="PATH", help="write it to PATH too, with every number")
    claims.add_argument("--records", metavar="FOLDER", help="read the records that `sweep --records FOLDER` made")
    # Its options are those of a run's Config, which only PyTorch's seconds of loading make known.
    commands.add_parser("train", add_help=False, help="train one encoder, on one process or several; --help lists how")
    pack = commands.add_parser("pack", help="pack a folder of images, so that training need not hold it in memory")
    pack.add_argument("folder", metavar="FOLDER", help="images, one folder a class: FOLDER/CLASS/*.jpg")
    pack.add_argument("target", metavar="TARGET", help="a new folder, to be named wherever a data set is")
    pack.add_argument("--size", type=int, metavar="PIXELS", help="resize and crop every image to a square of this side")
    measured = commands.add_parser("bench", help="measure this book's code beside others on this machine")
    measured.add_argument("--only", nargs="+", choices=bench.PARTS, metavar="PART", help=", ".join(bench.PARTS))
    measured.add_argument("--quick", action="store_true", help="small sizes and few rounds: a rough picture")
    return parser
