"""The checkpoints and weights that a run saves: written as artifacts, listed in the store, within the disk budget."""

import time
from collections.abc import Callable, Iterable, Sequence

from lab.checkpoint_files import encode
from lab.errors import ArtifactsUnreachableError
from lab.formatting import plural
from lab.runs.artifacts import ArtifactStore
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, SavedFile
from lab.runs.store import RunStore
from lab.training.events import Snapshot
from lab.worker.supervisor.log import log_worker

MB = 1_000_000


class RunFiles:
    """The files of one run, under its lease.

    notice: called with a message to the user if weights are deleted to stay within the budget.
    """

    def __init__(
        self, store: RunStore, artifacts: ArtifactStore, run: RunRecord, *, notice: Callable[[str], None]
    ) -> None:
        self._store, self._artifacts, self._run, self._notice = store, artifacts, run, notice
        self._undeleted: list[str] = []  # unlisted files that could not be deleted because storage was unreachable

    def write(self, event: Snapshot) -> SavedFile:
        """Write a snapshot as an artifact that is not listed yet. Raises `ArtifactError`."""
        path = f"{self._run.id}/{event.kind}-{event.step:09d}-{self._run.lease}.safetensors"
        sha256, size = self._artifacts.write(path, encode(event.state()))
        return SavedFile(
            run=self._run.id,
            kind=event.kind,
            step=event.step,
            epoch=event.epoch,
            path=path,
            sha256=sha256,
            bytes=size,
            created_at=time.time(),
        )

    def list(self, saved: SavedFile) -> None:
        """List a written file in the store and delete the files it replaces; repeated calls change nothing.

        Raises `StoreBusyError` and `LeaseLostError`.
        """
        old = self._store.files.list(self._run.id, kind=saved.kind)
        self._store.files.add(self._run.id, self._run.lease, saved)
        # Weights saved when a run stopped inside an epoch would otherwise remain next to those of the whole epoch.
        stale = [f for f in old if f.path != saved.path and (saved.kind == CHECKPOINT or f.epoch == saved.epoch)]
        self._delete(stale)
        if saved.kind == WEIGHTS:
            self._stay_within_budget([*(f for f in old if f not in stale and f.path != saved.path), saved])

    def _stay_within_budget(self, files: Sequence[SavedFile]) -> None:
        limit, total = self._run.config.keep_mb * MB, sum(f.bytes for f in files)
        if total <= limit:
            return
        best = self._store.results.headline(self._run.id)
        surplus = []
        for file in files[:-1]:  # in step order; the newest is always kept
            if total <= limit:
                break
            if best is None or file.step != best.step:
                surplus.append(file)
                total -= file.bytes
        if surplus:
            self._delete(surplus)
            self._notice(
                f"The weights of all epochs need more than the disk budget of {self._run.config.keep_mb} MB: "
                "the oldest are deleted, but never the best or the newest. Raise keep_mb to keep more."
            )

    def _delete(self, files: Sequence[SavedFile]) -> None:
        if files:
            self.delete(self._store.files.remove(self._run.id, self._run.lease, [f.path for f in files]))

    def delete(self, unused: Iterable[str]) -> None:
        """Delete unlisted files. If storage is unreachable, they are deleted in a later call, and the run continues."""
        self._undeleted += unused
        try:
            self._artifacts.delete(self._undeleted)
        except ArtifactsUnreachableError as error:
            count = plural(len(self._undeleted), "file")
            log_worker(f"{count} no longer needed could not be deleted yet: {error}")
        else:
            self._undeleted.clear()
