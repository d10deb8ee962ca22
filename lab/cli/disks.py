"""Check that the lab's folders are writable, by writing, syncing and removing a small file, and report the free space.

A check of permissions alone would miss a full disk.
"""

import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from lab.errors import LabError
from lab.formatting import format_bytes
from lab.service.lab import Lab
from lab.system_errors import reason, remedy

LOW_BYTES = 100_000_000  # the weights of a few epochs; with less space a run soon fails
_PROBE = b"\0" * 65_536  # more than a file system may store inside a directory entry


def examine_disks(lab: Lab) -> tuple[dict[str, Any], list[str]]:
    """Return the free bytes of each location (None if unknown), and a sentence for each problem."""
    places = {"home": lab.settings.home, "artifacts": _local(lab.settings.artifacts), "database": _database_folder(lab)}
    free = {name: None if path is None else _free_bytes(path) for name, path in places.items()}
    problems = [] if lab.settings.read_only else _unwritable(lab, places)
    return free, [*problems, *_low(places, free), *_unreadable(lab.settings.data)]


def _unreadable(data: Path) -> list[str]:
    try:
        os.listdir(data)  # noqa: PTH208
    except FileNotFoundError:  # nothing has been downloaded
        return []
    except OSError as error:
        how = remedy(error, "set LAB_DATA to a folder that can be read")
        return [f"The data folder {data} cannot be read ({reason(error)}): {how}."]
    return []


def _local(place: str) -> Path | None:
    return None if "://" in place else Path(place)


def _database_folder(lab: Lab) -> Path | None:
    url = make_url(lab.settings.database)
    return Path(str(url.database)).parent if url.get_backend_name() == "sqlite" and url.database else None


def _free_bytes(path: Path) -> int | None:
    there = next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), None)  # noqa: PTH112  `Path.is_dir` raises
    return None if there is None else shutil.disk_usage(there).free


def _unwritable(lab: Lab, places: dict[str, Path | None]) -> list[str]:
    problems = []
    for folder in dict.fromkeys(path for name, path in places.items() if path is not None and name != "artifacts"):
        try:
            _write_and_remove(folder)
        except OSError as error:
            problems.append(
                f"Nothing can be written to {folder} ({reason(error)}): "
                f"{remedy(error, 'set LAB_HOME to a writable folder')}."
            )
    probe = f"doctor/{secrets.token_hex(8)}"
    try:
        lab.artifacts.write(probe, _PROBE)
        lab.artifacts.delete([probe])
    except LabError as error:
        problems.append(str(error))
    return problems


def _write_and_remove(folder: Path) -> None:
    path = folder / f".doctor-{secrets.token_hex(8)}.tmp"
    try:
        with path.open("xb") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    finally:
        path.unlink(missing_ok=True)


def _low(places: dict[str, Path | None], free: dict[str, int | None]) -> list[str]:
    problems: dict[int, str] = {}  # by file system
    for name, path in places.items():
        left = free[name]
        if path is None or left is None or left >= LOW_BYTES:
            continue
        there = next(folder for folder in (path, *path.parents) if os.path.isdir(folder))  # noqa: PTH112
        problems.setdefault(
            there.stat().st_dev,
            f"Only {format_bytes(left)} are free at {path}, but training needs at least {format_bytes(LOW_BYTES)}: "
            "free disk space, or choose another folder with LAB_HOME or LAB_ARTIFACTS.",
        )
    return list(problems.values())
