"""The example runs as a readable store, unpacked by each process into a temporary folder that it removes at exit.

They are never written into the user's store. Otherwise every list, count, search, export and clean-up would have to
exclude them, the store would have to be writable, and a newer release would have to replace those of an older one.
"""

import atexit
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lab.errors import LabError
from lab.examples.catalogue import EXAMPLES, ORIGIN
from lab.runs.artifacts import ArtifactStore
from lab.runs.store import RunStore
from lab.settings import Settings, sqlite_url
from lab.sharing.bundle.read import import_shipped
from lab.system_errors import reason, remedy
from lab.temporary_folders import temporary_folder

_PREFIX = "convlab-examples-"
_once = threading.Lock()


@dataclass(frozen=True, slots=True)
class _Target:
    """The store and artifacts that an import writes to."""

    store: RunStore
    artifacts: ArtifactStore


def unpack_examples(*, data: Path) -> Settings:
    """Return the settings of a read-only lab with the example runs. Raises `LabError` if they cannot be unpacked.

    data: the folder of the data sets.
    """
    with _once:
        home = _unpacked()
    return Settings(
        home=home, data=data, database=_database(home), artifacts=str(_artifacts(home)), device="cpu", read_only=True
    )


def _database(home: Path) -> str:
    return sqlite_url(home / "lab.db")


def _artifacts(home: Path) -> Path:
    return home / "artifacts"


@cache
def _unpacked() -> Path:
    held = ExitStack()
    atexit.register(held.close)
    try:
        home = held.enter_context(temporary_folder(_PREFIX))
        store = RunStore.open(_database(home))
        for example in EXAMPLES:
            with example.file.open("rb") as stream:
                import_shipped(
                    _Target(store, ArtifactStore(str(_artifacts(home)))), stream, ids=[example.id], origin=ORIGIN
                )
    except OSError as error:
        how = remedy(error, "set TMPDIR, the folder of temporary files, to a writable one")
        raise LabError(f"The example runs cannot be unpacked ({reason(error)}): {how}.") from error
    store.close()
    return home
