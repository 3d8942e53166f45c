"""Where the book's files are, and how they are written so that nothing is lost."""

import hashlib
import os
import tempfile
from pathlib import Path


def repository_root() -> Path:
    """The folder that holds book.toml: the nearest one above the working folder, else the clone of this package."""
    for folder in (Path.cwd(), *Path.cwd().parents, Path(__file__).resolve().parents[2]):
        if (folder / "book.toml").is_file():
            return folder
    raise FileNotFoundError(
        f"no book.toml in {Path.cwd()} or above it. Change into a clone of the book, then try again."
    )


def ensure_writable(folder: Path) -> Path:
    """Make the folder if it is missing and return it; raise PermissionError if nothing can be written there."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise PermissionError(
            f"cannot write into {folder}: {error.strerror}. Choose another folder or change its permissions."
        ) from error
    return folder


def write_atomically(path: Path, content: bytes) -> None:
    """Write the file whole or not at all: a reader, a kill or a full disk never leaves half of it."""
    path = Path(path)
    ensure_writable(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def first_aside(path: Path) -> Path:
    """Where `set_aside` puts the first damaged file of this name: NAME.damaged."""
    return path.with_name(f"{path.name}.damaged")


def set_aside(path: Path) -> Path:
    """Rename a damaged file to NAME.damaged (then .damaged-2, ...) for somebody to look at; return the new path."""
    path = Path(path)
    aside = first_aside(path)
    count = 2
    while aside.exists():
        aside = path.with_name(f"{path.name}.damaged-{count}")
        count += 1
    path.rename(aside)
    return aside


def sha256(path: Path) -> str:
    """The file's SHA-256 checksum in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
