"""What to do about an error of the operating system, by its number: the one place where this is worded.

A message is composed as `f"{path} cannot be read ({reason(error)}): {remedy(error, 'give the path of a bundle')}."`
"""

import errno
import resource
import threading

_ACCESS = "allow this user to access {it}"
_FILE_FOR_FOLDER = "correct the path, in which a file stands for a folder"
_SPACE = "free disk space{at}"
_OF_PATHS = {
    errno.EACCES: _ACCESS,
    errno.EPERM: _ACCESS,
    errno.EROFS: "make its disk writable",
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: "free disk space{at} within this user's quota",
    errno.EFBIG: "raise the limit of a file's size (`ulimit -f`)",
    errno.ENAMETOOLONG: "shorten the path, each of whose names may have 255 bytes at most",
    errno.ENOTDIR: _FILE_FOR_FOLDER,
    errno.EEXIST: _FILE_FOR_FOLDER,  # where a folder was to be created
    errno.ELOOP: "correct the path's symbolic links, which lead in a circle",
}
_OF_THE_SYSTEM = {
    errno.EIO: "check the disk, which failed to read or write",
    errno.ENFILE: "end other programs, because all programs together have too many files open",
    errno.ENOMEM: "free memory, or raise its limit (`ulimit -v`)",
}
_NO_THREAD = "can't start new thread"  # the message of Python's `RuntimeError`


def reason(error: OSError) -> str:
    """Return the system's words for an error."""
    return str(error.strerror or error)


def remedy(error: OSError, otherwise: str, *, place: str = "") -> str:
    """Return what to do about an error.

    otherwise: the alternative, or the remedy for an error without one here. place: the location, if the message does
    not name it before.
    """
    if error.errno in _OF_PATHS:
        how = _OF_PATHS[error.errno].format(it=place or "it", at=f" at {place}" if place else "")
        return f"{how}, or {otherwise}"
    if error.errno == errno.EMFILE:
        return f"raise the limit of open files (`ulimit -n`, now {_limit(resource.RLIMIT_NOFILE)})"
    if error.errno == errno.EAGAIN:
        return process_remedy()
    return _OF_THE_SYSTEM.get(error.errno or 0, otherwise)


def process_remedy() -> str:
    """Return what to do if no further process or thread can be started."""
    limit = _limit(resource.RLIMIT_NPROC)
    return f"end other programs of this user, or raise the limit of processes and threads (`ulimit -u`, now {limit})"


def is_thread_limit(error: RuntimeError) -> bool:
    """Return whether Python raised an error because the system refused to start a thread."""
    return str(error) == _NO_THREAD


def refuses_threads() -> bool:
    """Return whether the system refuses to start another thread at the moment."""
    try:
        threading.Thread(target=int).start()
    except RuntimeError as error:
        if not is_thread_limit(error):
            raise
        return True
    return False


def _limit(kind: int) -> str:
    found = resource.getrlimit(kind)[0]
    return "unlimited" if found == resource.RLIM_INFINITY else str(found)
