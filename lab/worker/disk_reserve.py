"""Disk space held in reserve, so that on a full disk the reason of a failure can still be written down."""

import contextlib
import shutil
from pathlib import Path

from lab.formatting import format_bytes
from lab.worker.supervisor.log import log_worker

RESERVE_BYTES = 1_000_000  # room for the few rows that say why a run failed


def hold_reserve(home: Path) -> None:
    """Write the reserve, unless it is there or would take more than half of the room that is left: the store needs that."""
    place = reserve_path(home)
    if place.exists():
        return
    try:
        free = shutil.disk_usage(home).free
        if free < 2 * RESERVE_BYTES:
            log_worker(f"no disk space is held in reserve: only {format_bytes(free)} are free")
            return
        place.write_bytes(bytes(RESERVE_BYTES))
    except OSError as error:
        with contextlib.suppress(OSError):
            place.unlink(missing_ok=True)  # a part of it would fill the disk to the last byte
        log_worker(f"no disk space could be held in reserve ({error.strerror})")


def release_reserve(home: Path) -> None:
    """Free the reserve."""
    reserve_path(home).unlink(missing_ok=True)


def reserve_path(home: Path) -> Path:
    """Return the file that takes the reserve's space."""
    return home / "ballast"  # the name of every release: another one would leave this file behind
