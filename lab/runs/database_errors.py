"""Converts a database driver's errors into `LabError`s of one sentence: the value, the rule and the way out.

A temporary error becomes a `StoreBusyError` or a `StoreUnreachableError`, and a training waits; all others end it.
"""

import os
import sqlite3

from sqlalchemy import exc
from sqlalchemy.exc import DBAPIError, OperationalError

from lab.errors import LabError, ReadOnlyError, StoreBusyError, StoreError, StoreUnreachableError
from lab.system_errors import reason, remedy

_LOCKED = ("locked", "lock timeout")  # SQLite's words; a server's are in its own language
_LOCKED_STATES = ("55P03", "40001")  # lock_not_available, serialization_failure
_DEADLOCK = "40P01"  # deadlock_detected
# Definite answers of Postgres, for which waiting does not help. All other failures to connect are temporary.
_REFUSED = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied",
)
# SQLSTATE classes: 08 connection exception; 57P0x the server is shut down, crashed or starting up; 53300 too many
# clients; 25P03 the server ended a transaction that was idle for too long.
_UNREACHABLE = ("08", "57P0", "53300", "25P03")
# A failure to connect has no SQLSTATE.
_TOO_MANY = ("too many clients", "too many connections", "connection slots are reserved")
# 53 insufficient resources (disk full, no memory), 58 disk failure, 25006 read-only (a standby after a failover, or
# switched by an operator), 57014 statement cancelled: the server responds and may succeed later.
_UNABLE = ("53", "58", "25006", "57014")


def explain_refusal(error: Exception, *, where: str, busy_s: float, writes: bool) -> LabError:
    """Convert a driver's error into one of ours: value, rule, way out.

    where: the store's file, or its address without the password. busy_s: how long a lock was waited for, seconds.
    writes: whether the operation was a write.
    """
    undone = "nothing was written" if writes else "it could not be read"
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    temporary = _explain_temporary(error, cause, where=where, busy_s=busy_s, undone=undone)
    return temporary or _explain_permanent(cause, where=where)


def _explain_temporary(
    error: Exception, cause: str, *, where: str, busy_s: float, undone: str
) -> StoreBusyError | None:
    """Return the error to raise if a retry may help, else None."""
    low = cause.lower()
    if _is_unreachable(error):
        too_many = any(words in low for words in _TOO_MANY)
        advice = (
            "close other connections to it, or raise its limit"
            if too_many
            else "check that the database server is running"
        )
        return StoreUnreachableError(
            f"The run store {where} cannot be reached ({_short(cause.rpartition('failed: ')[2])}), so nothing was read "
            f"or written: {advice}, and try again; training waits for it."
        )
    if _sqlstate(error).startswith(_UNABLE):
        return StoreUnreachableError(
            f"The run store {where} cannot do this at the moment ({_short(cause)}), so {undone}: check the database "
            "server, and try again; training waits for it."
        )
    if _sqlstate(error) == _DEADLOCK:
        return StoreBusyError(
            f"Another process and this one waited for each other in the run store {where}, so {undone}: try again."
        )
    if _sqlstate(error) in _LOCKED_STATES or any(word in low for word in _LOCKED):
        return StoreBusyError(
            f"The run store was held by another process for more than {busy_s:g} s, so {undone}: "
            f"try again. If that does not help, a suspended process has {where} open: continue it, or end it."
        )
    return None


def _explain_permanent(cause: str, *, where: str) -> LabError:
    low = cause.lower()
    if "disk i/o" in low:  # a file size limit or a failing disk: SQLite does not distinguish them
        return StoreError(
            f"The disk of the run store is full or failing ({cause}), and what was not yet confirmed is not stored: "
            f"free some space next to {where}, or move it to a healthy disk, then try again or resume the run."
        )
    if "full" in low or "no space" in low or "file too large" in low:
        return StoreError(
            f"The disk of the run store is full ({cause}), and what was not yet confirmed is not stored: "
            f"free some space next to {where}, then try again or resume the run."
        )
    if "unable to open" in low and (found := _opening_error(where)) is not None:
        how = remedy(found, "choose another location with LAB_HOME")
        return StoreError(f"The run store {where} cannot be opened ({reason(found)}): {how}.")
    if "readonly" in low or "read-only" in low:
        return ReadOnlyError(
            f"The run store {where} may not be written by this user: check its owner and permissions, and that its disk "
            "is not mounted read-only."
        )
    if "malformed" in low or "not a database" in low:
        return StoreError(f"The file of the run store {where} is damaged ({cause}): restore it from a copy.")
    return StoreError(f"The run store {where} reported {_short(cause)!r}: check that it can be reached and written.")


def _opening_error(path: str) -> OSError | None:
    """Return the system's error if SQLite's file cannot be opened, which SQLite does not pass on; else None."""
    try:
        os.close(os.open(path, os.O_RDWR))
    except OSError as error:
        return error
    return None


def _is_unreachable(error: Exception) -> bool:
    """Return whether a server could not be reached or closed the connection, so that a retry may help."""
    if isinstance(error, exc.TimeoutError):  # every connection of this process waits for the server
        return True
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error) or error.orig is None:
        return False
    state = _sqlstate(error)
    if state:
        return state.startswith(_UNREACHABLE)
    low = str(error.orig).lower()
    if any(words in low for words in _REFUSED):
        return False
    return error.connection_invalidated or isinstance(error, OperationalError)


def _sqlstate(error: Exception) -> str:
    """Return the SQLSTATE of an error, or "" if it has none."""
    cause = getattr(error, "orig", None)
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")


def _short(cause: str) -> str:
    return cause if len(cause) <= 90 else cause[:87] + "..."
