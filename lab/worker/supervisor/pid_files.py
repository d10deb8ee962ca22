"""Pid files: which supervisor and which worker live in a lab's home, and the settings they were started with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.atomic_files import write_atomically
from lab.runs.owner import Owner, is_alive
from lab.settings import Settings


@dataclass(frozen=True, slots=True)
class PidFile:
    """What a pid file says: a process, known by its start too, and the environment of its settings."""

    owner: Owner
    environment: Any

    @property
    def alive(self) -> bool:
        """Whether the process lives."""
        return bool(is_alive(self.owner))

    def matches(self, settings: Settings) -> bool:
        """Whether the process was started with these settings."""
        return bool(self.environment == settings.environment())


def supervisor_pid_path(settings: Settings) -> Path:
    """Return the pid file of the supervisor."""
    return settings.home / "supervisor.json"


def worker_pid_path(settings: Settings) -> Path:
    """Return the pid file of the worker."""
    return settings.home / "worker.json"


def write_pid_file(path: Path, owner: Owner, settings: Settings) -> None:
    """Write down a process and its settings, whole or not at all. Raises `OSError`."""
    entry = {"pid": owner.pid, "pid_start": owner.pid_start, "host": owner.host, "settings": settings.environment()}
    write_atomically(path, (json.dumps(entry).encode(),))


def read_pid_file(path: Path) -> PidFile | None:
    """Return what a pid file says; None where there is none, or where an older release tore it on a full disk."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return PidFile(Owner(host=entry["host"], pid=entry["pid"], pid_start=entry["pid_start"]), entry["settings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
