"""Which database a process of this machine works for, read from the environment that it was started with.

A copied store names the processes of the original. They are alive, but they train nothing in the copy, and whoever uses
the copy must never signal them.
"""

from functools import lru_cache
from pathlib import Path

import psutil
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from lab.runs.owner import Owner, is_alive, kill
from lab.settings import DATABASE, HOME, sqlite_url

WORKER = "lab.worker"  # `python -m lab.worker`, which has no settings but its environment


def is_serving(owner: Owner, database: URL | None) -> bool | None:
    """Return whether a process still runs and works for a database; None on another host, where this is unknown.

    True also if it does not show which database it works for, as a process of another user does not.
    """
    lives = is_alive(owner)
    if not lives or database is None:
        return lives
    return works_for(owner, database) is not False


def kill_if_serving(owner: Owner, database: URL) -> None:
    """Kill a process that works for this database; one that may work for another keeps running, without its run."""
    if is_alive(owner) and works_for(owner, database):
        kill(owner)


def works_for(owner: Owner, database: URL) -> bool | None:
    """Return whether a live process was started for this database, None if that cannot be known."""
    try:
        own = _database_of(owner)
    except _UnknownError:
        return None
    return is_same_database(own, database)


def is_same_database(one: URL, other: URL) -> bool | None:
    """Return whether two URLs lead to the same database, None if that cannot be known.

    An SQLite file has one name per link or mount; a server may be reached by several addresses.
    """
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        try:
            return Path(str(one.database)).samefile(str(other.database))
        except OSError:  # one of them was moved or deleted
            return None
    if one.database != other.database:
        return False
    # Another host may be the same server under another name, and another query may select another schema.
    same = (one.host, one.port, one.query) == (other.host, other.port, other.query)
    return True if same else None


class _UnknownError(Exception):
    """A process does not show its database. Raised, so that this is not cached: it may have just been started."""


@lru_cache(maxsize=256)  # pages ask several times a second, and a process keeps the environment it was started with
def _database_of(owner: Owner) -> URL:
    try:
        process = psutil.Process(owner.pid)
        if WORKER not in process.cmdline():  # flags such as `--home` of another command override its environment
            raise _UnknownError
        environment = process.environ()
        found = make_url(environment.get(DATABASE) or sqlite_url(Path(environment[HOME]) / "lab.db"))
    except (psutil.Error, OSError, KeyError, ArgumentError) as error:
        raise _UnknownError from error
    if found.get_backend_name() == "sqlite" and not Path(str(found.database)).is_absolute():
        raise _UnknownError  # relative to the folder in which the process was started
    return found
