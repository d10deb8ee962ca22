"""Temporary folders that are cleaned up even after a process was killed: the next process that needs one removes them.

Each process holds a lock in its folder, so that others can tell which folders are abandoned.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "in-use.lock"
_NEW_S = 60.0  # a newer folder may belong to a process that has not locked it yet


@contextmanager
def temporary_folder(
    prefix: str, *, within: Path | None = None, end: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """Yield an empty folder that is removed afterwards, and remove abandoned folders with the same prefix.

    within: the parent folder, by default the system's temporary folder. end: called with each abandoned folder before
    it is removed, to end processes that still use it. Raises `OSError` if no folder can be created.
    """
    place = within or Path(tempfile.gettempdir())
    remove_abandoned(prefix, place, end=end)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def remove_abandoned(prefix: str, place: Path, *, end: Callable[[Path], None] = lambda _: None) -> None:
    """Remove the folders in `place` with this prefix that killed processes left, and none that a live process uses."""
    for folder in place.glob(f"{prefix}*"):
        try:
            if not (folder / LOCK).is_file() or time.time() - folder.stat().st_mtime < _NEW_S:
                continue
            with FileLock(folder / LOCK, timeout=0):
                end(folder)
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # in use, another user's, or just removed by another process
            continue
