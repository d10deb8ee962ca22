"""What a database's driver refuses, as one sentence of ours: the value, the rule and the way out.

A refusal that passes by itself is a `StoreBusyError` or a `StoreUnreachableError`, which a training waits for; the others end it.
"""

import sqlite3

from sqlalchemy import exc
from sqlalchemy.exc import DBAPIError, OperationalError

from lab.errors import LabError, ReadOnlyError, StoreBusyError, StoreError, StoreUnreachableError

_LOCKED = ("locked", "could not obtain lock", "lock timeout", "could not serialize")
_DEADLOCK = "40P01"  # deadlock_detected
# Postgres answered the connection and meant it: waiting does not help. All other refusals to connect pass by themselves.
_REFUSED = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "no password supplied",
    "permission denied",
)
# SQLSTATE classes: 08 connection exception, 57P0x the server is shut down, crashed or starting up, 53300 too many clients,
# 25P03 the server ended a transaction that had paused for too long.
_UNREACHABLE = ("08", "57P0", "53300", "25P03")
# A refusal to connect has no code.
_TOO_MANY = ("too many clients", "too many connections", "connection slots are reserved")
# 53 insufficient resources (its disk is full, no memory), 58 its disk fails, 25006 it takes no writes (a standby after a
# failover, an operator's switch), 57014 somebody cancelled the statement: it answers, and may do it later.
_UNABLE = ("53", "58", "25006", "57014")


def explain_refusal(error: Exception, *, where: str, busy_s: float, writes: bool) -> LabError:
    """Turn a driver's error into one of ours: value, rule, way out.

    where: the store's address without its password. busy_s: how long a lock was waited for. writes: whether something was
    to be written.
    """
    undone = "nothing was written" if writes else "it could not be read"
    cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
    low = cause.lower()
    if _is_gone(error):
        too_many = any(words in low for words in _TOO_MANY)
        advice = (
            "close other connections to it, or raise its limit"
            if too_many
            else "check that the database server is running"
        )
        return StoreUnreachableError(
            f"The run store {where} cannot be reached ({_short(cause.rpartition('failed: ')[2])}), so nothing was read or "
            f"written: {advice}, and try again; a training waits for it."
        )
    if _sqlstate(error).startswith(_UNABLE):
        return StoreUnreachableError(
            f"The run store {where} cannot do it for now ({_short(cause)}), so {undone}: look at the database server, "
            "and try again; a training waits for it."
        )
    if _sqlstate(error) == _DEADLOCK:
        return StoreBusyError(
            f"Another process and this one waited for each other in the run store {where}, so {undone}: try again."
        )
    if any(word in low for word in _LOCKED):
        return StoreBusyError(
            f"The run store was held by another process for more than {busy_s:g} s, so {undone}: "
            f"try again, and look for a stopped process that holds {where}."
        )
    if "disk i/o" in low:  # a limit on the size of a file, or a disk that breaks: SQLite does not tell which
        return StoreError(
            f"The disk of the run store is full or failing ({cause}), and what was not yet confirmed is not stored: "
            f"free some space beside {where}, or move it to a healthy disk, then try again or resume the run."
        )
    if "full" in low or "no space" in low or "file too large" in low:
        return StoreError(
            f"The disk of the run store is full ({cause}), and what was not yet confirmed is not stored: "
            f"free some space beside {where}, then try again or resume the run."
        )
    if "readonly" in low or "read-only" in low:
        return ReadOnlyError(f"The run store {where} may not be written by this user: check its owner and rights.")
    if "malformed" in low or "not a database" in low:
        return StoreError(f"The file of the run store {where} is damaged ({cause}): restore it from a copy.")
    return StoreError(f"The run store {where} answered {_short(cause)!r}: check that it can be reached and written.")


def _is_gone(error: Exception) -> bool:
    """Whether a server could not be reached or closed the connection, so that asking again later helps."""
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
    """Return the code that a server gave with its refusal, "" without one."""
    cause = getattr(error, "orig", None)
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None) or "")


def _short(cause: str) -> str:
    return cause if len(cause) <= 90 else cause[:87] + "..."
