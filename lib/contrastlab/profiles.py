"""Profiles of book.toml: what one may hold. A mistake is told before a run starts, in the words of the file."""

from collections.abc import Mapping
from types import UnionType
from typing import Any, get_args, get_origin

from .config import Config
from .manifest import ManifestError
from .names import one_of

KEYS: dict[str, str] = {  # of a profile, each with an example
    "data": 'data = "fashion-mini"',
    "seeds": "seeds = [0, 1]",
    "columns": 'columns = [{ loss = "contrastive", tau = [0.1, 1.0] }, { loss = "simple" }]',
    "train": "train = { epochs = 2 }",
    "train_images": "train_images = 1000",
    "embeddings": "embeddings = [0]",
}
NEEDED = ("data", "seeds", "columns")
ELSEWHERE = {"tau": "a column, as a list: tau = [0.1, 1.0]", "seed": f"the profile: {KEYS['seeds']}"}


def check(profile: str, settings: Any) -> None:
    """Raise ManifestError, or UnknownName for a key or a setting, unless [profiles.PROFILE] can be swept."""
    where = f"[profiles.{profile}]"
    _expect(isinstance(settings, Mapping), where, settings, f"a table such as {KEYS['data']}")
    for key in settings:
        one_of(key, KEYS, f"key of {where}")
    for key in NEEDED:
        if key not in settings:
            raise ManifestError(f"book.toml lacks the key {key!r} in {where}. Add it, such as: {KEYS[key]}")
    for key, value in settings.items():
        _expect(_FITS[key](value), f"{key!r} in {where}", value, KEYS[key])
    _check_settings(settings.get("train", {}), f"'train' of {where}")
    for column in settings["columns"]:
        _check_column(column, f"the column {column!r} of {where}")


def _check_column(column: Mapping[str, Any], where: str) -> None:
    _expect(isinstance(column.get("loss"), str), f"'loss' in {where}", column.get("loss"), 'loss = "contrastive"')
    if "tau" in column:
        _expect(_is_list(column["tau"], float), f"'tau' in {where}", column["tau"], "a list: tau = [0.1, 1.0]")
    _check_settings({key: value for key, value in column.items() if key != "tau"}, where)
    for key, value in column.items():
        if key != "tau" and isinstance(value, list):
            raise ManifestError(f"book.toml: {key!r} in {where} is a list, which names no run. Put it into 'train'.")


def _check_settings(settings: Mapping[str, Any], where: str) -> None:
    for key, value in settings.items():
        if key in ELSEWHERE:
            raise ManifestError(f"book.toml: {key!r} stands in {where}. It belongs into {ELSEWHERE[key]}")
        one_of(key, Config.__dataclass_fields__, "training setting")
        kind = Config.__dataclass_fields__[key].type
        _expect(_is_setting(value, kind), f"{key!r} in {where}", value, f"a value of type {_words(kind)}")


def _expect(fits: bool, where: str, given: object, expected: str) -> None:
    if not fits:
        raise ManifestError(f"book.toml: {where} is {given!r}, expected {expected}")


def _is_setting(value: object, kind: Any) -> bool:
    """Whether the value is of the type that a field of Config declares. TOML has no None: the key is left out."""
    if get_origin(kind) is tuple:
        return isinstance(value, list) and all(_is(one, get_args(kind)[0]) for one in value)
    return any(_is(value, one) for one in (get_args(kind) if isinstance(kind, UnionType) else (kind,)))


def _is(value: object, kind: type) -> bool:
    """Whether the value is of the type, where a whole number may stand for any number, and true for none."""
    return isinstance(value, int | float if kind is float else kind) and not isinstance(value, bool)


def _is_list(value: object, kind: type) -> bool:
    return isinstance(value, list) and bool(value) and all(_is(one, kind) for one in value)


def _words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return f"list of {get_args(kind)[0].__name__}"
    return get_args(kind)[0].__name__ if isinstance(kind, UnionType) else kind.__name__


_FITS = {
    "data": lambda value: isinstance(value, str),
    "seeds": lambda value: _is_list(value, int),
    "columns": lambda value: _is_list(value, dict),
    "train": lambda value: isinstance(value, dict),
    "train_images": lambda value: _is(value, int) and value >= 1,
    "embeddings": lambda value: value == [] or _is_list(value, int),
}
