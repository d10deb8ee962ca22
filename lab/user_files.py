"""Checks of paths from users: a pipe, socket or device is refused instead of being read."""

import errno
import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def require_file(path: Path) -> None:
    """Raise `OSError` if a path does not exist or cannot be read more than once.

    Reading a pipe without a writer would block forever, and its data can be read only once. A folder is accepted here,
    because `open` raises an error for it.
    """
    mode = path.stat().st_mode
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, f"it is {words}, not a file", str(path))
