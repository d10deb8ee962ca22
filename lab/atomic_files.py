"""Files that are written whole or not at all, and folders that only their owner can read; both survive a power cut.

A file goes to a temporary name in its own folder, is synced, renamed, and the folder synced. Any process may be killed
at any moment: what is left is the old file or the new one, and perhaps a temporary file named `.….tmp`.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

TEMPORARY = ".tmp"  # how the name of a half-written file ends; it begins with a dot
_PRIVATE_MODE, _SHARED_MODE = 0o600, 0o666  # the umask takes away from either


def write_atomically(path: Path, parts: Iterable[bytes], *, private: bool = True) -> None:
    """Write a file whole or not at all, replacing what was there, and make the folders above it.

    private: only its owner can read the file and the folders made for it. Raises `OSError`, after which the old file is
    still whole.
    """
    # Short, though the name be as long as names can be.
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
    """Give a file or a folder, whose contents are synced, its final name, replacing a file. Raises `OSError`."""
    source.replace(target)
    sync_folder(target.parent)


def make_private(folder: Path) -> None:
    """Create a folder and what is missing above it, each with mode 0700; folders that exist stay as they are."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the system write down which files a folder holds."""
    if os.name != "posix":
        return  # other systems write a rename down without it, or cannot open a folder
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
    except FileNotFoundError:  # another process deleted the last file of this folder, and the folder, just now
        _make_folder(path.parent, private=private)
        return os.open(path, flags, mode)


def _make_folder(folder: Path, *, private: bool) -> None:
    if private:
        make_private(folder)
    else:
        folder.mkdir(parents=True, exist_ok=True)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
