"""Disk space held in reserve, so that the reason for a failure can still be stored on a full disk."""

import contextlib
import shutil
from pathlib import Path

from lab.formatting import format_bytes
from lab.system_errors import reason
from lab.worker.supervisor.log import log_worker

RESERVE_BYTES = 1_000_000  # enough for the few rows that describe why a run failed


def hold_reserve(home: Path) -> None:
    """Write the reserve unless it exists or would take more than half of the free space, which the store needs."""
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
            place.unlink(missing_ok=True)  # a partial file would fill the disk completely
        log_worker(f"no disk space could be held in reserve ({reason(error)})")


def release_reserve(home: Path) -> None:
    """Free the reserve."""
    reserve_path(home).unlink(missing_ok=True)


def reserve_path(home: Path) -> Path:
    """Return the file that occupies the reserve."""
    return home / "ballast"  # never renamed, because upgraded labs would keep the old file
