"""Atomic, durable file writes, and folders that only their owner can read.

A file is written under a temporary name in its own folder, synced and renamed, and then the folder is synced. If the
process is killed at any moment, either the old file or the new one remains, possibly with a temporary file named
`.….tmp`.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".tmp"  # suffix of the name of a partially written file, which starts with a dot
_PRIVATE_MODE, _SHARED_MODE = 0o600, 0o666  # before the umask


def write_atomically(path: Path, parts: Iterable[bytes], *, private: bool = True) -> None:
    """Write a file atomically, replacing an existing one, and create missing parent folders.

    private: only the owner can read the file and the folders created for it. Raises `OSError`; the old file is then
    unchanged.
    """
    # Not derived from the name, which may already have the maximum length.
    temporary = path.with_name(f".{secrets.token_hex(8)}{TEMPORARY}")
    handle = _create(temporary, private=private)
    try:
        try:
            for part in parts:
                _write_all(handle, part)
            os.fsync(handle)
        finally:
            os.close(handle)
        rename_synced(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def rename_synced(source: Path, target: Path) -> None:
    """Rename a file or folder whose contents are already synced, replacing an existing file. Raises `OSError`."""
    source.replace(target)
    sync_folder(target.parent)


def make_private(folder: Path) -> None:
    """Create a folder and its missing parents with mode 0700; existing folders keep their mode."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        make_folder(path, mode=0o700)
        sync_folder(path.parent)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Create a folder and its missing parents, and accept an existing one. mode: of the folder, before the umask."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    except FileExistsError:
        folder.stat()  # of a symbolic link, this raises what is wrong: its target is missing, or it leads to itself
        raise


def sync_folder(folder: Path) -> None:
    """Flush a folder's directory entries to disk."""
    if os.name != "posix":
        return  # other systems persist a rename without this, or cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path, *, private: bool) -> int:
    flags, mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_MODE if private else _SHARED_MODE
    _make_folder(path.parent, private=private)
    try:
        return os.open(path, flags, mode)
    except FileNotFoundError:  # another process has just deleted the last file of this folder, and the folder itself
        _make_folder(path.parent, private=private)
        return os.open(path, flags, mode)


def _make_folder(folder: Path, *, private: bool) -> None:
    if private:
        make_private(folder)
    else:
        make_folder(folder)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
