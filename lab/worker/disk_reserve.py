"""Disk space held in reserve, so that on a full disk the reason of a failure can still be written down."""

from pathlib import Path

from lab.worker.supervisor.log import log_worker

RESERVE_BYTES = 1_000_000  # room for the few rows that say why a run failed


def hold_reserve(home: Path) -> None:
    """Write the reserve, unless it is there."""
    if not _path(home).exists():
        try:
            _path(home).write_bytes(bytes(RESERVE_BYTES))
        except OSError as error:
            log_worker(f"no disk space could be held in reserve ({error.strerror})")


def release_reserve(home: Path) -> None:
    """Free the reserve."""
    _path(home).unlink(missing_ok=True)


def _path(home: Path) -> Path:
    return home / "ballast"  # the name of every release: another one would leave this file behind
