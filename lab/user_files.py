"""Paths that people give: a named pipe or a device in the place of a file is refused, not waited for."""

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
    """Raise `OSError` where a path is no file that can be read more than once, and where there is none.

    A pipe that nobody writes into is waited for without an end, and what was read of one is gone. A folder is left to
    `open`, which has words for it.
    """
    mode = path.stat().st_mode
    for is_kind, words in _KINDS:
        if is_kind(mode):
            raise OSError(errno.EINVAL, f"it is {words}, not a file", str(path))
