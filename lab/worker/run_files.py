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

    notice: is given the sentence to show when weights are deleted to stay within the budget.
    """

    def __init__(
        self, store: RunStore, artifacts: ArtifactStore, run: RunRecord, *, notice: Callable[[str], None]
    ) -> None:
        self._store, self._artifacts, self._run, self._notice = store, artifacts, run, notice
        self._undeleted: list[str] = []  # files that no list has any more, and whose place was away

    def write(self, event: Snapshot) -> SavedFile:
        """Write a snapshot as an artifact, which no list has yet. Raises `ArtifactError`."""
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
        """List a written file in the store and delete those it replaces; doing it again changes nothing.

        Raises `StoreBusyError`, `LeaseLostError`.
        """
        old = self._store.files.list(self._run.id, kind=saved.kind)
        self._store.files.add(self._run.id, self._run.lease, saved)
        # Beside an epoch's weights, those of a stop inside it would be a second epoch of that number.
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
        for file in files[:-1]:  # in step order, and the newest always stays
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
        """Delete files that no list has any more. While their place is away they wait for the next call; no run fails by them."""
        self._undeleted += unused
        try:
            self._artifacts.delete(self._undeleted)
        except ArtifactsUnreachableError as error:
            count = plural(len(self._undeleted), "file")
            log_worker(f"{count} that no run needs any more could not be deleted yet: {error}")
        else:
            self._undeleted.clear()
