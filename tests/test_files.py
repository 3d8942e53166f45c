"""Nothing is lost: a file is written whole or not at all, and a damaged one is kept."""

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from contrastlab import files
from contrastlab.files import ensure_writable, repository_root, set_aside, sha256, write_atomically


def disk_full(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestWriteAtomically:
    def test_writes_what_it_was_given_and_leaves_nothing_else(self, tmp_path):
        write_atomically(tmp_path / "new" / "run.json", b"first")
        write_atomically(tmp_path / "new" / "run.json", b"second")
        assert contents(tmp_path / "new") == {"run.json": b"second"}

    def test_takes_any_bytes_and_a_path_as_text(self, tmp_path):
        content = bytes(range(256)) * 1000
        write_atomically(str(tmp_path / "blob"), content)
        assert contents(tmp_path) == {"blob": content}

    def test_makes_files_that_others_may_read(self, tmp_path):
        write_atomically(tmp_path / "run.json", b"{}")
        assert stat.S_IMODE((tmp_path / "run.json").stat().st_mode) & 0o444 == 0o444

    @pytest.mark.parametrize("step", ["fsync", "replace", "chmod", "fdopen"])
    def test_a_full_disk_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch, step):
        path = tmp_path / "run.json"
        write_atomically(path, b"old")
        monkeypatch.setattr(files.os, step, disk_full)
        with pytest.raises(OSError) as raised:
            write_atomically(path, b"new")
        assert raised.value.errno == errno.ENOSPC
        assert contents(tmp_path) == {"run.json": b"old"}

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    def test_a_full_disk_leaves_no_part_of_a_new_file(self, tmp_path, monkeypatch, step):
        monkeypatch.setattr(files.os, step, disk_full)
        with pytest.raises(OSError):
            write_atomically(tmp_path / "run.json", b"new")
        assert contents(tmp_path) == {}

    def test_an_interrupt_leaves_the_old_file_and_no_other(self, tmp_path, monkeypatch):
        def interrupt(*_args):
            raise KeyboardInterrupt

        path = tmp_path / "run.json"
        write_atomically(path, b"old")
        monkeypatch.setattr(files.os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
        assert contents(tmp_path) == {"run.json": b"old"}

    def test_what_can_be_read_is_whole_at_every_moment(self, tmp_path, monkeypatch):
        """Until the last step the old content is what readers see, although the new one is on the disk already."""
        path, seen = tmp_path / "run.json", []
        write_atomically(path, b"old")
        replace = os.replace

        def look_then_replace(source, target):
            seen.append((path.read_bytes(), Path(source).read_bytes(), Path(source).parent))
            replace(source, target)

        monkeypatch.setattr(files.os, "replace", look_then_replace)
        write_atomically(path, b"new")
        assert seen == [(b"old", b"new", tmp_path)]
        assert path.read_bytes() == b"new"

    def test_says_where_it_cannot_write(self, tmp_path):
        (tmp_path / "file").write_bytes(b"in the way")
        with pytest.raises(PermissionError, match=r"cannot write into .*file.runs: .*\. Choose another folder"):
            write_atomically(tmp_path / "file" / "runs" / "run.json", b"{}")
        assert contents(tmp_path) == {"file": b"in the way"}


class TestEnsureWritable:
    def test_makes_the_folder_and_its_parents_and_leaves_nothing_in_it(self, tmp_path):
        folder = ensure_writable(tmp_path / "a" / "b")
        assert folder == tmp_path / "a" / "b"
        assert ensure_writable(str(folder)) == folder
        assert contents(folder) == {}

    @pytest.mark.parametrize("below", ["", "runs"])
    def test_names_a_folder_that_cannot_be_made(self, tmp_path, below):
        in_the_way = tmp_path / "file"
        in_the_way.write_bytes(b"")
        with pytest.raises(PermissionError) as raised:
            ensure_writable(in_the_way / below)
        assert str(raised.value).startswith(f"cannot write into {in_the_way / below}: ")
        assert str(raised.value).endswith(". Choose another folder or change its permissions.")
        assert isinstance(raised.value.__cause__, OSError)

    def test_names_a_folder_in_which_no_file_can_be_made(self, tmp_path, monkeypatch):
        def read_only(*_args, **_kwargs):
            raise OSError(errno.EROFS, "Read-only file system")

        monkeypatch.setattr(files.tempfile, "TemporaryFile", read_only)
        with pytest.raises(PermissionError, match=r"^cannot write into .*: Read-only file system\. Choose another"):
            ensure_writable(tmp_path)


class TestSetAside:
    def test_renames_and_keeps_every_byte(self, tmp_path):
        path = tmp_path / "run.json"
        path.write_bytes(b"half a rec")
        assert set_aside(path) == tmp_path / "run.json.damaged"
        assert contents(tmp_path) == {"run.json.damaged": b"half a rec"}

    def test_never_overwrites_what_was_set_aside_before(self, tmp_path):
        path, kept = tmp_path / "run.json", {}
        for i, name in enumerate(["run.json.damaged", "run.json.damaged-2", "run.json.damaged-3"]):
            path.write_bytes(bytes([i]))
            assert set_aside(str(path)) == tmp_path / name
            kept[name] = bytes([i])
            assert contents(tmp_path) == kept

    def test_does_not_pass_over_a_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            set_aside(tmp_path / "run.json")


class TestSha256:
    @pytest.mark.parametrize(
        ("content", "digest"),
        [
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ],
    )
    def test_of_published_examples(self, tmp_path, content, digest):
        (tmp_path / "file").write_bytes(content)
        assert sha256(tmp_path / "file") == digest

    def test_of_a_file_of_several_blocks(self, tmp_path):
        content = bytes(range(251)) * 10_000
        (tmp_path / "file").write_bytes(content)
        assert sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


class TestRepositoryRoot:
    def test_is_the_nearest_folder_above_that_holds_book_toml(self, tmp_path, monkeypatch):
        (tmp_path / "book.toml").write_bytes(b"")
        deep = tmp_path / "chapters" / "deep"
        deep.mkdir(parents=True)
        monkeypatch.chdir(deep)
        assert repository_root() == tmp_path.resolve()

    def test_is_the_clone_of_this_package_where_there_is_none_above(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert repository_root() == Path(files.__file__).resolve().parents[2]

    def test_says_what_to_do_where_there_is_neither(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(files, "__file__", str(tmp_path / "site-packages" / "contrastlab" / "files.py"))
        with pytest.raises(FileNotFoundError, match=r"no book\.toml in .* or above it\. Change into a clone"):
            repository_root()
