"""Data sets for machines that share no files with the lab: stored among the artifacts, fetched and verified on demand.

A file is stored once, under the SHA-256 of its bytes. A data set is identified by its content id, which is part of
every run's fingerprint. So a joined machine trains on exactly the files with which the run was queued, or not at all.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from lab.atomic_files import make_folder, rename_synced, write_atomically
from lab.data.load import dataset_checksum, is_present, list_files
from lab.data.places import find_file
from lab.data.registry import get_dataset_spec
from lab.errors import DataError, LabError
from lab.runs.artifacts import ArtifactStore
from lab.runs.shared_data import SharedDataset, SharedFile
from lab.runs.store import RunStore
from lab.system_errors import reason, remedy

_PIECE = 1 << 20  # bytes
_ZIPPED = ".gz"


class SharedDatasets:
    """Publishes the data sets of this machine and fetches published ones. root: this machine's data folder."""

    def __init__(self, store: RunStore, artifacts: ArtifactStore, root: Path) -> None:
        self._store, self._artifacts, self._root = store, artifacts, root

    def publish_waiting(self) -> tuple[str, ...]:
        """Publish local data sets of queued runs whose published version is missing or outdated; return their names."""
        published = []
        for dataset in sorted(self._store.queue.waiting_datasets()):
            if _travels(dataset) and is_present(dataset, root=self._root) and self.publish(dataset):
                published.append(dataset)
        return tuple(published)

    def publish(self, dataset: str) -> bool:
        """Store a data set's files among the artifacts; return False if they were already there. Raises `LabError`."""
        content = dataset_checksum(dataset, root=self._root)
        known = self._store.shared_data.find(dataset)
        if known is not None and known.content == content:
            return False
        files = tuple(self._store_file(path) for path in list_files(dataset, root=self._root))
        self._store.shared_data.publish(SharedDataset(dataset, content, files))
        return True

    def _store_file(self, path: Path) -> SharedFile:
        """Store the file that provides a path. It is read twice, because its artifact name is its digest."""
        found = find_file(path)
        if found is None:
            raise DataError(f"{path} has just been removed: restore it, or fetch its data set again.")
        name = path.name + (_ZIPPED if found.name.lower().endswith(_ZIPPED) else "")
        place = str(path.with_name(name).relative_to(self._root))
        sha256, size = _digest(found)
        shared = SharedFile(place, sha256, size)
        if not self._artifacts.has(shared.artifact):
            stored, _ = self._artifacts.write_parts(shared.artifact, _pieces(found))
            if stored != sha256:
                self._artifacts.delete([shared.artifact])
                raise DataError(f"{found} was changed while it was read: it is stored at the next attempt.")
        return shared

    def fetch(self, dataset: str) -> None:
        """Fetch a published data set, unless the same one is on this machine. Raises `DataError`, `ArtifactError`."""
        shared = self._store.shared_data.find(dataset)
        if shared is None or self._has(shared):
            return
        make_folder(self._root, mode=0o700)
        with FileLock(self._root / ".shared.lock", mode=0o600):  # the other slots of this machine wait for it
            if not self._has(shared):
                self._fetch(shared)

    def _fetch(self, shared: SharedDataset) -> None:
        staging = self._root / f".shared-{shared.content[:16]}"
        try:
            for file in shared.files:
                write_atomically(staging / file.path, self._artifacts.read_parts(file.artifact, sha256=file.sha256))
            found = dataset_checksum(shared.dataset, root=staging)
            if found != shared.content:
                raise DataError(
                    f"The files of {shared.dataset} among the artifacts do not match its content id: "
                    "queue a run of it again on the machine that has it."
                )
            for path in list_files(shared.dataset, root=self._root):  # a file packed differently might be found first
                while (older := find_file(path)) is not None and older.is_relative_to(self._root):
                    older.unlink()
            for file in shared.files:
                make_folder((self._root / file.path).parent, mode=0o700)
                rename_synced(staging / file.path, self._root / file.path)
        except OSError as error:
            how = remedy(error, "set LAB_DATA to a writable folder")
            raise DataError(
                f"{shared.dataset} could not be written to {self._root} ({reason(error)}): {how}."
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _has(self, shared: SharedDataset) -> bool:
        here = is_present(shared.dataset, root=self._root)
        return here and dataset_checksum(shared.dataset, root=self._root) == shared.content

    def lacking(self) -> frozenset[str]:
        """Return the data sets of queued runs that this machine can neither read nor fetch.

        A local data set that was never published may be another version, so it does not count.
        """
        waiting = {dataset for dataset in self._store.queue.waiting_datasets() if _travels(dataset)}
        return frozenset(waiting - self._store.shared_data.names()) if waiting else frozenset()


def _travels(dataset: str) -> bool:
    """Return whether a data set has files to transfer; True for a data set that this release does not know."""
    try:
        return not get_dataset_spec(dataset).built_in
    except LabError:
        return True


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
