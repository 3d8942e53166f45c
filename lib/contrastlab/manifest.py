"""The manifest book.toml: title, parts, chapters in order, launch settings and the profiles of runs."""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import repository_root
from .names import one_of

CHAPTER_FILE = re.compile(r"(\d\d)-[a-z0-9-]+")


class ManifestError(ValueError):
    """book.toml cannot be used as it stands."""


@dataclass(frozen=True)
class Chapter:
    """One chapter: the stem of its file in chapters/, the question it answers, and minutes of reading."""

    file: str
    question: str
    minutes: int

    @property
    def number(self) -> int:
        """The chapter's number, which is that of its file name."""
        return int(self.file[:2])


@dataclass(frozen=True)
class Part:
    """A part of the book: its title and its chapters in reading order."""

    title: str
    chapters: tuple[Chapter, ...]


@dataclass(frozen=True)
class Launch:
    """Where readers open the book online; an empty repository means nowhere yet."""

    repository: str = ""
    branch: str = "main"


@dataclass(frozen=True)
class Manifest:
    """What book.toml says; root is the folder that holds it. cover: name of the figure on the README, or empty."""

    root: Path
    title: str
    subtitle: str
    authors: tuple[str, ...]
    description: str
    language: str
    licence: str
    cover: str
    launch: Launch
    parts: tuple[Part, ...]
    profiles: Mapping[str, Mapping[str, Any]]
    claims: Mapping[str, Sequence[str]]  # the ledger's data sets and the profiles that it reads for each

    @property
    def chapters(self) -> tuple[Chapter, ...]:
        """Every chapter in reading order."""
        return tuple(chapter for part in self.parts for chapter in part.chapters)

    @property
    def folder(self) -> Path:
        """The folder of the chapters' sources and committed notebooks."""
        return self.root / "chapters"

    def select(self, names: Iterable[str] = ()) -> tuple[Chapter, ...]:
        """The named chapters in reading order, or all of them when none is named.

        A name is a file's stem, its number, or a path to the file (`2`, `02-the-loss`, `chapters/02-the-loss.md`).
        Raises UnknownName for any other.
        """
        wanted = {self._stem(name) for name in names}
        return tuple(c for c in self.chapters if c.file in wanted) if wanted else self.chapters

    def sources(self, chapters: Iterable[Chapter]) -> list[Path]:
        """Paths of the chapters' .md sources; raises ManifestError if one does not exist."""
        paths = [self.folder / f"{chapter.file}.md" for chapter in chapters]
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise ManifestError(
                f"book.toml lists {', '.join(missing)}, which {self.folder} does not hold. "
                "Write the chapter, or take it out of book.toml."
            )
        return paths

    def profile(self, name: str) -> Mapping[str, Any]:
        """The settings under [profiles.NAME]; raises UnknownName, with the nearest name, if there are none."""
        one_of(name, self.profiles, "profile")
        return self.profiles[name]

    def _stem(self, name: str) -> str:
        stem = Path(name).name.removesuffix(".md").removesuffix(".ipynb")
        by_number = {str(chapter.number): chapter.file for chapter in self.chapters}
        stem = by_number.get(stem.lstrip("0"), stem)
        one_of(stem, [chapter.file for chapter in self.chapters], "chapter")
        return stem


def load(root: Path | None = None) -> Manifest:
    """Read book.toml from the folder, or from the repository that holds the working folder.

    Raises ManifestError if it is not valid TOML, lacks a key, or lists a chapter twice.
    """
    root = Path(root) if root is not None else repository_root()
    path = root / "book.toml"
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(f"{path} is not valid TOML: {error}. Correct that line, then try again.") from error
    return _manifest(root, content)


def _manifest(root: Path, content: dict[str, Any]) -> Manifest:
    book = _value(content, "book", dict, "the top")
    parts = tuple(_part(part) for part in _value(content, "parts", list, "the top"))
    _check_unique([chapter for part in parts for chapter in part.chapters])
    return Manifest(
        root=root,
        title=_value(book, "title", str, "[book]"),
        subtitle=_value(book, "subtitle", str, "[book]"),
        authors=tuple(_value(book, "authors", list, "[book]")),
        description=_value(book, "description", str, "[book]"),
        language=_value(book, "language", str, "[book]"),
        licence=_value(book, "licence", str, "[book]"),
        cover=_value(book | {"cover": book.get("cover", "")}, "cover", str, "[book]"),
        launch=_launch(content.get("launch", {})),
        parts=parts,
        profiles=_value({"profiles": {}} | content, "profiles", dict, "the top"),
        claims=_value({"claims": {}} | content, "claims", dict, "the top"),
    )


def _launch(table: dict[str, Any]) -> Launch:
    launch = Launch(**{key: _value(table, key, str, "[launch]") for key in ("repository", "branch") if key in table})
    if launch.repository and not launch.repository.startswith("https://"):
        raise ManifestError(
            f"[launch] repository is {launch.repository!r}, expected an address such as "
            "https://github.com/owner/name, or an empty string for no launch buttons."
        )
    return launch


def _part(table: dict[str, Any]) -> Part:
    title = _value(table, "title", str, "[[parts]]")
    chapters = _value(table, "chapters", list, f"part {title!r}")
    return Part(title, tuple(_chapter(chapter) for chapter in chapters))


def _chapter(table: dict[str, Any]) -> Chapter:
    file = _value(table, "file", str, "[[parts.chapters]]")
    if not CHAPTER_FILE.fullmatch(file):
        raise ManifestError(
            f"chapter file {file!r} is not of the form NN-name, such as 02-the-contrastive-loss: two digits, "
            "then small letters, digits and hyphens, without .md."
        )
    where = f"chapter {file!r}"
    return Chapter(file, _value(table, "question", str, where), _value(table, "minutes", int, where))


def _check_unique(chapters: list[Chapter]) -> None:
    seen: dict[int, str] = {}
    for chapter in chapters:
        if chapter.number in seen:
            raise ManifestError(
                f"book.toml lists chapter {chapter.number} twice, as {seen[chapter.number]!r} and {chapter.file!r}. "
                "Renumber or remove one."
            )
        seen[chapter.number] = chapter.file


def _value(table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
    if key not in table:
        raise ManifestError(f"book.toml lacks the key {key!r} in {where}. Add it.")
    if not isinstance(table[key], kind):
        raise ManifestError(
            f"book.toml: {key!r} in {where} is {table[key]!r}, expected a value of type {kind.__name__}."
        )
    return table[key]
