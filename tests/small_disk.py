"""A small file system in memory, which tests can fill without filling the machine's disk."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_disk(place: Path, *, megabytes: int) -> Iterator[Path]:
    """Mount an empty file system of this size at a new folder. Skips the test where mounting is not permitted."""
    place.mkdir()
    size = f"size={megabytes}m"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def make_read_only(disk: Path) -> None:
    """Mount such a file system again, so that nothing can be written to it. Skips the test if a file is still open."""
    again = ["mount", "-o", "remount,ro", str(disk)]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a disk cannot be made read-only here: {done.stderr.strip()}")
