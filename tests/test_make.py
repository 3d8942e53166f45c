"""The Makefile's set-up: once, repaired after an interruption, clear when it fails; nothing of the user's is removed.

Python and pip are stand-ins.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# Stands for python3: reports a version, and makes a .venv, as $VENV says, whose python does what $PIP says.
PYTHON = """#!/bin/sh
case "$1" in
  -c) exit ${TOO_OLD:-0} ;;
  -V) echo "Python 3.9.1" ;;
  -m)
    mkdir -p .venv/bin
    case "$VENV" in
      fails) exit 1 ;;
      killed) kill -9 $PPID ;;
    esac
    cp ../venv-python .venv/bin/python ;;
esac
"""
VENV_PYTHON = """#!/bin/sh
echo "$@" >> ../log
case "$*" in
  *"pip install"*) [ "$PIP" = works ] || exit 1 ;;
esac
"""


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name, content in {"python": PYTHON, "venv-python": VENV_PYTHON}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    return folder


def make(clone: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", f"PYTHON={clone.parent / 'python'}", *arguments]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        command, cwd=clone, env=inherited | {"PIP": "works"} | environment, capture_output=True, text=True, check=False
    )


def calls(clone: Path) -> list[str]:
    log = clone.parent / "log"
    return log.read_text().splitlines() if log.exists() else []


def installs(clone: Path) -> int:
    return sum("pip install" in call for call in calls(clone))


def test_the_set_up_happens_once_and_the_work_each_time(clone):
    for target in ("book", "test", "book"):
        assert make(clone, target).returncode == 0
    assert installs(clone) == 1
    assert [call for call in calls(clone) if "pip" not in call] == [
        "-m contrastlab book", "-m contrastlab test", "-m contrastlab book",
    ]  # fmt: skip


def test_a_failed_set_up_says_what_to_do_and_the_next_run_repairs_it(clone):
    failed = make(clone, "book", PIP="fails")
    assert failed.returncode != 0
    assert "Check the network and the free disk space" in failed.stdout
    assert "-m contrastlab book" not in calls(clone)
    (clone / ".venv" / "half-installed").touch()
    assert make(clone, "book").returncode == 0
    assert not (clone / ".venv" / "half-installed").exists()
    assert calls(clone)[-1] == "-m contrastlab book"


def test_a_changed_pyproject_is_installed_into_the_same_environment(clone):
    make(clone, "book")
    (clone / ".venv" / "kept").touch()
    later = (clone / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(clone / "pyproject.toml", (later, later))
    assert make(clone, "book").returncode == 0
    assert installs(clone) == 2 and (clone / ".venv" / "kept").exists()


def made_by_hand(clone: Path) -> Path:
    """A .venv that its user made, with something in it that make cannot make again."""
    own = clone / ".venv" / "lib" / "own.py"
    own.parent.mkdir(parents=True)
    own.write_text("precious")
    return own


def set_up_before_there_was_a_mark(clone: Path, folder: Path) -> None:
    """Leave the .venv as earlier Makefiles did: complete, for `folder`, and known by its .ready alone."""
    make(clone, "book")
    (clone / ".venv" / ".made-by-make").unlink(missing_ok=True)
    (clone / ".venv" / ".ready").write_text(str(folder))
    (clone / ".venv" / "old").touch()


def test_an_environment_that_make_did_not_make_is_left_alone(clone):
    own = made_by_hand(clone)
    for _ in range(2):
        refused = make(clone, "book")
        assert refused.returncode != 0 and own.read_text() == "precious"
        assert ".venv was not made by make" in refused.stdout and "Move it away" in refused.stdout
    assert calls(clone) == []
    own.parents[1].rename(clone / "my-venv")
    assert make(clone, "book").returncode == 0


def test_clean_removes_what_make_made_and_nothing_else(clone):
    own = made_by_hand(clone)
    (clone / "_build").mkdir()
    cleaned = make(clone, "clean")
    assert cleaned.returncode == 0 and ".venv was not made by make" in cleaned.stdout
    assert own.exists() and not (clone / "_build").exists()
    shutil.rmtree(clone / ".venv")
    make(clone, "book")
    assert make(clone, "clean").returncode == 0 and not (clone / ".venv").exists()
    assert make(clone, "clean").returncode == 0


@pytest.mark.parametrize("end", ["killed", "fails"])
def test_a_set_up_that_ends_while_the_environment_is_made_starts_again_from_nothing(clone, end):
    ended = make(clone, "book", VENV=end)
    assert ended.returncode != 0 and ("apt install python3-venv" in ended.stdout) == (end == "fails")
    assert (clone / ".venv").exists() == (end == "killed")
    assert make(clone, "book").returncode == 0
    assert calls(clone)[-1] == "-m contrastlab book"


def test_an_environment_of_before_the_mark_is_ours(clone):
    set_up_before_there_was_a_mark(clone, clone)
    later = (clone / ".venv" / ".ready").stat().st_mtime + 10
    os.utime(clone / "pyproject.toml", (later, later))
    assert make(clone, "book", PIP="fails").returncode != 0 and (clone / ".venv" / "old").exists()
    assert make(clone, "book").returncode == 0 and not (clone / ".venv" / "old").exists()


def test_an_environment_of_before_the_mark_is_made_again_in_a_clone_that_was_moved(clone):
    set_up_before_there_was_a_mark(clone, clone.parent / "where-it-was")
    assert make(clone, "help").returncode == 0 and (clone / ".venv" / "old").exists()
    assert make(clone, "book").returncode == 0 and not (clone / ".venv" / "old").exists()


def test_help_is_a_target_and_no_file(clone):
    (clone / "help").touch()
    for arguments in ([], ["help"]):
        assert "make book" in make(clone, *arguments).stdout


def test_a_moved_clone_is_set_up_anew(clone):
    make(clone, "book")
    moved = clone.rename(clone.parent / "elsewhere")
    assert make(moved, "book").returncode == 0
    assert installs(moved) == 2


def test_an_old_python_is_named(clone):
    old = make(clone, "book", TOO_OLD="1")
    assert old.returncode != 0 and "needs Python 3.11 or newer" in old.stdout and "Python 3.9.1" in old.stdout
    assert not (clone / ".venv").exists()


def test_a_missing_python_is_named(clone):
    missing = make(clone, "book", "PYTHON=python-of-nobody")
    assert missing.returncode != 0 and "No python-of-nobody found" in missing.stdout


def test_a_command_that_fails_makes_make_fail(clone):
    make(clone, "book")
    (clone / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    assert make(clone, "test").returncode != 0


def test_the_benchmark_installs_its_peers_once_and_passes_its_options_on(clone):
    make(clone, "book")
    for options in ([], ["ONLY=loss views", "QUICK=1"]):
        assert make(clone, "bench", *options).returncode == 0
    assert [call.split()[-1] for call in calls(clone) if "pip install" in call] == [".[book,test]", ".[bench]"]
    commands = [call for call in calls(clone) if "contrastlab bench" in call]
    assert commands == ["-m contrastlab bench", "-m contrastlab bench --only loss views --quick"]


def test_a_failed_install_of_the_peers_is_told_and_tried_again(clone):
    make(clone, "book")
    failed = make(clone, "bench", PIP="fails")
    assert failed.returncode != 0 and "Check the network, then run make bench again" in failed.stdout
    assert not any("contrastlab bench" in call for call in calls(clone))
    assert make(clone, "bench").returncode == 0
    assert installs(clone) == 3


def test_a_set_up_that_is_made_again_gets_the_peers_again(clone):
    make(clone, "bench")
    moved = clone.rename(clone.parent / "elsewhere")
    assert make(moved, "bench").returncode == 0
    assert installs(moved) == 4
