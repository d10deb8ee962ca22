"""Files are written completely or not at all, in an order that survives a power failure."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.atomic_files import rename_synced, write_atomically


def test_a_file_is_synced_renamed_and_its_folder_synced_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(handle: int) -> None:
        calls.append("sync folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "sync file")
        fsync(handle)

    def record_replace(source: Path, target: Path) -> None:
        assert Path(source).parent == Path(target).parent
        assert Path(source).read_bytes() == b"new"
        calls.append(f"rename to {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(os, "replace", record_replace)
    path = tmp_path / "a"
    path.write_bytes(b"old")
    write_atomically(path, (b"n", b"ew"))
    assert calls == ["sync file", "rename to a", "sync folder"]
    assert path.read_bytes() == b"new"


def test_after_an_error_the_old_file_is_unchanged_and_nothing_else_is_left(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the disk is full")

    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(path, parts())
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_file_that_cannot_be_renamed_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "a", (b"x",))
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, (b"x",))
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize(("private", "file_mode", "folder_mode"), [(True, 0o600, 0o700), (False, 0o644, 0o755)])
def test_permissions_are_set_and_missing_folders_are_created(
    tmp_path: Path, private: bool, file_mode: int, folder_mode: int
) -> None:
    before = os.umask(0o022)
    try:
        path = tmp_path / "b" / "c" / "a"
        write_atomically(path, (b"x",), private=private)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == file_mode
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)} == {folder_mode}


def test_a_folder_is_renamed_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "x").write_bytes(b"1")
    rename_synced(tmp_path / "staging", tmp_path / "final")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["final", "final/x"]
