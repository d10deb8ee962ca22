"""The example runs as a store that can be read: unpacked by each process into a temporary folder, which goes with it.

A process that is killed leaves its folder behind. Each holds a lock in its own, so the next one knows which are nobody's.

They are never written into the user's store. That would make every list, count, search, export and clean-up of it know
of them, need a place to write to, and leave an older release's examples there for a newer one to replace.
"""

import atexit
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock, Timeout

from lab.errors import LabError
from lab.examples.catalogue import EXAMPLES, ORIGIN
from lab.runs.artifacts import ArtifactStore
from lab.runs.store import RunStore
from lab.settings import Settings
from lab.sharing.bundle.read import import_shipped

_PREFIX = "convlab-examples-"
_LOCK = "in-use.lock"
_NEW_S = 60.0  # a folder this young may have a process that is about to lock it
_once = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Target:
    """What an import writes to."""

    store: RunStore
    artifacts: ArtifactStore


def unpack_examples(*, data: Path) -> Settings:
    """Return the settings of a read-only lab with the example runs. Raises `LabError` where there is no room for it.

    data: the folder of the data sets.
    """
    with _once:
        home = _unpacked()
    return Settings(
        home=home, data=data, database=_database(home), artifacts=str(_artifacts(home)), device="cpu", read_only=True
    )


def _database(home: Path) -> str:
    return f"sqlite:///{home / 'lab.db'}"


def _artifacts(home: Path) -> Path:
    return home / "artifacts"


@cache
def _unpacked() -> Path:
    remove_abandoned(Path(tempfile.gettempdir()))
    try:
        home = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = FileLock(home / _LOCK)
        lock.acquire(timeout=0)
        atexit.register(_remove, home, lock)
        store = RunStore.open(_database(home))
        for example in EXAMPLES:
            with example.file.open("rb") as stream:
                import_shipped(
                    _Target(store, ArtifactStore(str(_artifacts(home)))), stream, ids=[example.id], origin=ORIGIN
                )
    except OSError as error:
        raise LabError(
            f"The example runs cannot be unpacked ({error.strerror or error}): free some space in "
            f"{tempfile.gettempdir()}, or set TMPDIR to a folder that can be written."
        ) from error
    store.close()
    return home


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes have unpacked into this folder, and nothing that a living one uses."""
    for home in folder.glob(f"{_PREFIX}*"):
        try:
            if not (home / _LOCK).is_file() or time.time() - home.stat().st_mtime < _NEW_S:
                continue
            with FileLock(home / _LOCK, timeout=0):
                shutil.rmtree(home, ignore_errors=True)
        except (Timeout, OSError):  # in use, another user's, or removed by somebody else just now
            continue


def _remove(home: Path, lock: FileLock) -> None:
    """Remove this process' own folder; the argument keeps its lock alive until then."""
    shutil.rmtree(home, ignore_errors=True)
    lock.release()
