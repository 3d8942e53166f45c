"""The command line: `python -m contrastlab study|book|site|notebooks|test|sweep`."""

import argparse
import sys
from collections.abc import Sequence

from . import jobs, manifest, names

WRONG_USE, FAILED, INTERRUPTED = 2, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0 done, 1 failed, 2 wrong use."""
    parser = _parser()
    asked, asked.others = parser.parse_known_args(arguments)
    if asked.others and asked.command != "study":
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
        jobs.sweep(book, asked.profile)
    elif asked.command == "notebooks":
        jobs.notebooks(book, asked.chapters)
    elif asked.command == "study":
        jobs.study(book, asked.others)
    else:
        getattr(jobs, asked.command)(book)


def _is_for_the_reader(error: Exception) -> bool:
    """Whether the message alone tells what to do: the library's own checks, and what the system refuses."""
    if isinstance(error, ValueError | OSError):
        return True
    return type(error).__module__.startswith("contrastlab.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="contrastlab", description="Read, run, build and test the book.")
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("study", help="open JupyterLab at the book's first page; further options go to JupyterLab")
    commands.add_parser("book", help="run every chapter and build the website from that run in _build/site")
    commands.add_parser("site", help="build the website in _build/site from the committed notebooks")
    notebooks = commands.add_parser("notebooks", help="run chapters and rewrite the committed .ipynb beside each .md")
    notebooks.add_argument("chapters", nargs="*", metavar="CHAPTER", help="a number or a file name; none means all")
    commands.add_parser("test", help="run the linter, the tests and every notebook")
    sweep = commands.add_parser("sweep", help="train and measure what a profile of book.toml asks for")
    sweep.add_argument("--profile", required=True, metavar="NAME", help="a table under [profiles] in book.toml")
    return parser
