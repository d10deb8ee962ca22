"""Temporary folders are removed after use; those of killed processes are removed when the next folder is created."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.temporary_folders import remove_abandoned, temporary_folder
from tests.processes import end_processes_of

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "convlab-test-"
_HOLD = f"""
import sys
from pathlib import Path
from lab.temporary_folders import temporary_folder
with temporary_folder({PREFIX!r}, within=Path(sys.argv[1])) as folder:
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(parent: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Yield a process that holds a temporary folder until it is killed, and the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(parent)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_a_folder_exists_during_use_and_is_removed_afterwards(tmp_path: Path) -> None:
    def fail_in_one() -> None:
        with temporary_folder(PREFIX, within=tmp_path) as folder:
            assert list(tmp_path.iterdir()) == [folder]
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_in_one()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next_and_that_of_a_live_one_stays(
    tmp_path: Path,
) -> None:
    unlocked = tmp_path / f"{PREFIX}of-another-program"
    unlocked.mkdir()
    ended: list[Path] = []
    with holding(tmp_path) as (killed, left), holding(tmp_path) as (_, used):
        killed.kill()
        killed.wait()
        for folder in (left, used):
            os.utime(folder)
        remove_abandoned(PREFIX, tmp_path)
        assert left.exists()  # as young as one that is about to be locked
        for folder in (left, used, unlocked):
            os.utime(folder, (0, 0))
        with temporary_folder(PREFIX, within=tmp_path, end=ended.append):
            assert [folder.exists() for folder in (left, used, unlocked)] == [False, True, True]
    assert ended == [left]


def test_processes_of_an_abandoned_folder_are_killed_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "left").mkdir()
    (tmp_path / "left-alone").mkdir()
    commands = [
        (["sleep", "86400"], tmp_path / "left" / "home"),
        (["sleep", "86400"], tmp_path / "left-alone" / "home"),
    ]
    by_home, other = (subprocess.Popen(words, env={**os.environ, "HOME": str(home)}) for words, home in commands)
    by_word = subprocess.Popen(["tail", "-f", "/dev/null", str(tmp_path / "left" / "log")], stderr=subprocess.DEVNULL)
    try:
        end_processes_of(tmp_path / "left")
        assert (by_home.wait(60), by_word.wait(60)) == (-9, -9)
        assert other.poll() is None
    finally:
        for process in (by_home, by_word, other):
            process.kill()
            process.wait()
