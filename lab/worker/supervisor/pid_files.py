"""Pid files: the supervisor and workers of a lab's home, and the settings they were started with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from lab.atomic_files import write_atomically
from lab.errors import ConfigError
from lab.runs.owner import Owner, is_alive
from lab.runs.serving import is_same_database
from lab.settings import DATABASE, HOME, SLOTS, Settings, with_resolved_links
from lab.worker.supervisor.slots import Slot, read_slot

_NO_SLOTS = {SLOTS: ""}  # assumed for pid files of releases without slots


@dataclass(frozen=True, slots=True)
class PidFile:
    """The contents of a pid file.

    owner: the process, identified by pid and start time. environment: its settings as environment variables. slot: of a
    worker. knows_slots: whether a release with slots started the process.
    """

    owner: Owner
    environment: Mapping[str, Any]
    slot: Slot = Slot()
    knows_slots: bool = True

    @property
    def alive(self) -> bool:
        """Whether the process is alive."""
        return bool(is_alive(self.owner))

    def matches(self, settings: Settings) -> bool:
        """Return whether the process was started with these settings."""
        return _is_same({**_NO_SLOTS, **self.environment}, settings.environment())

    def is_of_home(self, settings: Settings) -> bool:
        """Return whether the process was started for this home, and not for the one that this home is a copy of."""
        try:
            return settings.home.samefile(self.environment.get(HOME, settings.home))
        except (OSError, TypeError):
            return False

    def is_of_original(self, settings: Settings) -> bool:
        """Return whether the process worked for another lab, of whose home and store this lab's are a copy."""
        try:
            theirs = make_url(self.environment[DATABASE])
        except (KeyError, ArgumentError):
            return False
        return not self.is_of_home(settings) and is_same_database(theirs, make_url(settings.database)) is False

    def is_of_lab(self, settings: Settings) -> bool:
        """Return whether the process was started with these settings, ignoring the number of slots."""
        return _is_same({**self.environment, **_NO_SLOTS}, {**settings.environment(), **_NO_SLOTS})


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return with_resolved_links(one) == with_resolved_links(other)


def supervisor_pid_path(settings: Settings) -> Path:
    """Return the pid file of the supervisor."""
    return settings.home / "supervisor.json"


def starting_pid_path(settings: Settings) -> Path:
    """Return the pid file of the supervisor that was started last, which may take a second to acquire the lock."""
    return settings.home / "supervisor-started.json"


def worker_pid_path(settings: Settings, index: int = 0) -> Path:
    """Return the pid file of a slot's worker; that of the first has the name used by releases with only one."""
    return settings.home / (f"worker-{index + 1}.json" if index else "worker.json")


def list_worker_pid_files(settings: Settings) -> tuple[PidFile, ...]:
    """Return the pid files of all slots, including those of processes that have exited."""
    paths = [worker_pid_path(settings), *sorted(settings.home.glob("worker-*.json"))]
    return tuple(found for path in paths if (found := read_pid_file(path)) is not None)


def write_pid_file(path: Path, owner: Owner, settings: Settings, *, slot: Slot | None = None) -> None:
    """Write a process and its settings atomically. Raises `OSError`."""
    entry = {"pid": owner.pid, "pid_start": owner.pid_start, "host": owner.host, "settings": settings.environment()}
    if slot is not None:
        entry["slot"] = slot.place
    write_atomically(path, (json.dumps(entry).encode(),))


def read_pid_file(path: Path) -> PidFile | None:
    """Return the contents of a pid file, or None if it is missing or invalid, for example truncated on a full disk."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        settings = dict(entry["settings"])
        device = settings.get("LAB_DEVICE") or "auto"
        owner = Owner(host=entry["host"], pid=entry["pid"], pid_start=entry["pid_start"])
        slot = read_slot(entry["slot"], device) if "slot" in entry else Slot(device=device)
        return PidFile(owner, settings, slot, knows_slots="slot" in entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return None
