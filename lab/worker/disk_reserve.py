"""Disk space held in reserve, so that on a full disk the reason of a failure can still be written down."""

from pathlib import Path

from lab.worker.supervisor.log import log_worker

RESERVE_BYTES = 1_000_000  # room for the few rows that say why a run failed


def hold_reserve(home: Path) -> None:
    """Write the reserve, unless it is there."""
    if not reserve_path(home).exists():
        try:
            reserve_path(home).write_bytes(bytes(RESERVE_BYTES))
        except OSError as error:
            log_worker(f"no disk space could be held in reserve ({error.strerror})")


def release_reserve(home: Path) -> None:
    """Free the reserve."""
    reserve_path(home).unlink(missing_ok=True)


def reserve_path(home: Path) -> Path:
    """Return the file that takes the reserve's space."""
    return home / "ballast"  # the name of every release: another one would leave this file behind
