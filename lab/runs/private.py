"""Folders that only their owner can read, and that survive a power cut."""

import os
from pathlib import Path


def make_private(folder: Path) -> None:
    """Create a folder and what is missing above it, each with mode 0700; folders that exist stay as they are."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the system write down which files a folder holds."""
    if os.name != "posix":
        return  # other systems keep a rename without it, or cannot open a folder
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
