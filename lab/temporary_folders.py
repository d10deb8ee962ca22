"""Temporary folders that a killed process does not leave behind for good: the next one that needs such a folder removes them.

Each process holds a lock in its own folder, so the others know which are nobody's.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "in-use.lock"
_NEW_S = 60.0  # a folder this young may have a process that is about to lock it


@contextmanager
def temporary_folder(
    prefix: str, *, within: Path | None = None, end: Callable[[Path], None] = lambda _: None
) -> Iterator[Path]:
    """Give an empty folder that is gone afterwards, and remove those of the same prefix whose processes were killed.

    within: where it is made, by default where the machine has such folders. end: called with such a left folder before it is
    removed, to end what may still run in it. Raises `OSError` where none can be made.
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
    """Remove the folders of this prefix that killed processes left in a place, and none that a living one uses."""
    for folder in place.glob(f"{prefix}*"):
        try:
            if not (folder / LOCK).is_file() or time.time() - folder.stat().st_mtime < _NEW_S:
                continue
            with FileLock(folder / LOCK, timeout=0):
                end(folder)
                shutil.rmtree(folder, ignore_errors=True)
        except (Timeout, OSError):  # in use, another user's, or removed by somebody else just now
            continue
