"""Names that a reader types: the known ones, and a hint at the nearest for any other."""

import difflib
from collections.abc import Iterable


class UnknownName(ValueError):
    """A name that is none of the known ones; the message names the nearest."""


def one_of(name: str, options: Iterable[str], what: str) -> None:
    """Raise UnknownName unless name is one of the options."""
    known = list(options)
    if name in known:
        return
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UnknownName(f"unknown {what} {name!r}. {hint}Known: {', '.join(known) or 'none'}.")
