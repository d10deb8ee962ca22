"""Pid files: which supervisor and which workers live in a lab's home, and the settings they were started with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.atomic_files import write_atomically
from lab.errors import ConfigError
from lab.runs.owner import Owner, is_alive
from lab.settings import SLOTS, Settings
from lab.worker.supervisor.slots import Slot, read_slot

_NO_SLOTS = {SLOTS: ""}  # what a pid file of a release before slots says of them


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a pid file says: a process, known by its start too, and the environment of its settings. slot: of a worker.

    knows_slots: whether it was started by a release that has slots.
    """

    owner: Owner
    environment: Mapping[str, Any]
    slot: Slot = Slot()
    knows_slots: bool = True

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return bool(is_alive(self.owner))

    def matches(self, settings: Settings) -> bool:
        """Whether the process was started with these settings."""
        return {**_NO_SLOTS, **self.environment} == settings.environment()

    def is_of_lab(self, settings: Settings) -> bool:
        """Whether the process serves the lab of these settings, be the number of its slots another one."""
        return {**self.environment, **_NO_SLOTS} == {**settings.environment(), **_NO_SLOTS}


def supervisor_pid_path(settings: Settings) -> Path:
    """Return the pid file of the supervisor."""
    return settings.home / "supervisor.json"


def starting_pid_path(settings: Settings) -> Path:
    """Return the pid file of the supervisor that was started last: it takes a second until that one holds the lock."""
    return settings.home / "supervisor-started.json"


def worker_pid_path(settings: Settings, index: int = 0) -> Path:
    """Return the pid file of a slot's worker; the first has the name of the releases that knew only one."""
    return settings.home / (f"worker-{index + 1}.json" if index else "worker.json")


def list_worker_pid_files(settings: Settings) -> tuple[PidFile, ...]:
    """Return what the pid files of all slots say, those of processes that have ended among them."""
    paths = [worker_pid_path(settings), *sorted(settings.home.glob("worker-*.json"))]
    return tuple(found for path in paths if (found := read_pid_file(path)) is not None)


def write_pid_file(path: Path, owner: Owner, settings: Settings, *, slot: Slot | None = None) -> None:
    """Write down a process and its settings, whole or not at all. Raises `OSError`."""
    entry = {"pid": owner.pid, "pid_start": owner.pid_start, "host": owner.host, "settings": settings.environment()}
    if slot is not None:
        entry["slot"] = slot.place
    write_atomically(path, (json.dumps(entry).encode(),))


def read_pid_file(path: Path) -> PidFile | None:
    """Return what a pid file says; None where there is none, or where an older release tore it on a full disk."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        settings = dict(entry["settings"])
        device = settings.get("LAB_DEVICE") or "auto"
        owner = Owner(host=entry["host"], pid=entry["pid"], pid_start=entry["pid_start"])
        slot = read_slot(entry["slot"], device) if "slot" in entry else Slot(device=device)
        return PidFile(owner, settings, slot, knows_slots="slot" in entry)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ConfigError):
        return None
