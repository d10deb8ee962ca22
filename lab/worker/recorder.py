"""Stores what training emits: points before the checkpoint that follows them, findings, and the result.

A buffer is cleared only after its commit has returned, so nothing that the store acknowledged is lost, and whatever it
refused is retried. While the store is busy or unreachable, training continues and saved files wait to be listed; after
a longer outage the worker pauses the run. The rules of `lab.diagnosis` are applied after every epoch, every few seconds
inside it, and at the end of the run. Each time, the findings replace the earlier ones as a whole.
"""

import time
from collections import defaultdict
from typing import Any

import numpy as np

from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_run
from lab.errors import ArtifactError, ArtifactsUnreachableError, StoreBusyError
from lab.findings import Finding
from lab.metrics import BATCH_ACCURACY, BATCH_LOSS, LEARNING_RATE
from lab.runs.artifacts import ArtifactStore
from lab.runs.outage import Outage, Place
from lab.runs.records import RunRecord, RunRequest, RunState, SavedFile, Series
from lab.runs.rows import EXPIRED_STATES
from lab.runs.run_facts import ForkState
from lab.runs.store import RunStore
from lab.training.events import Ended, Evaluated, Event, Notice, Snapshot, Started, StepMetrics
from lab.worker.curve_history import CurveHistory
from lab.worker.run_files import RunFiles
from lab.worker.run_progress import AttemptProgress
from lab.worker.supervisor.log import log_worker
from lab.worker.training_pace import TrainingPace

FLUSH_S = 0.5  # largest delay of points in the store if few runs are in training (`lab.runs.pace`)
DIAGNOSE_S = 5.0  # how often the rules are applied inside an epoch

_FULFILS = {state: request for request, state in EXPIRED_STATES.items()}  # the request that each final state fulfils
_Points = dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class RunRecorder:
    """Stores the events of a run under the run's lease."""

    def __init__(
        self,
        store: RunStore,
        artifacts: ArtifactStore,
        run: RunRecord,
        *,
        outage: Outage | None = None,
        pace: TrainingPace | None = None,
    ) -> None:
        self._store, self._artifacts, self._run = store, artifacts, run
        self._outage, self._pace = outage or Outage(), pace or TrainingPace()
        self._files = RunFiles(store, artifacts, run, notice=self._notice)
        self._unlisted: list[SavedFile] = []  # saved, but not yet listed in the store
        self.saved_all = True  # False once a file was given up because its storage was unreachable for too long
        self._unwritten: list[str] = []  # notices that have not been stored yet
        self._buffer: _Points = defaultdict(list)
        self._history = CurveHistory()
        self._progress = AttemptProgress(run)
        self._noticed = set(run.notices)
        self._findings = run.findings
        self._data = DataFacts(classes=10)
        self._normalization: list[float] = []
        self._fork_state = run.environment.fork_state  # of an earlier attempt
        self._flushed = self._diagnosed = time.monotonic()

    # -- called by the worker ------------------------------------------------------------------------------------------

    def phase(self, text: str) -> None:
        """Store the current phase of the run, which is shown while nothing is being trained."""
        self._progress.set_phase(text)
        log_worker(text)
        self._outage.call(lambda: self._store.leases.set_progress(self._run.id, self._run.lease, self._progress.values))

    def describe(self, mean: float, std: float, data: DataFacts) -> None:
        """Set the normalisation and the facts about the data, which `Started` stores."""
        self._normalization, self._data = [mean, std], data

    def forked(self, how: ForkState) -> None:
        """Set how the initial state of a fork was obtained."""
        self._fork_state = how.value

    def record(self, event: Event) -> None:
        """Store one event."""
        match event:
            case Started():
                self._start(event)
            case StepMetrics():
                self._steps(event)
            case Evaluated():
                self._evaluated(event)
            case Snapshot():
                self._save(event)
            case Notice():
                self._notice(event.message)
            case Ended():
                raise ValueError("the end of a run is stored by finish")

    def finish(self, ended: Ended, *, state: RunState, reason: str, fulfils: RunRequest | None = None) -> None:
        """Store the last points and the result and release the run, no matter how long the store is unreachable.

        fulfils: the request that ending the run fulfils, if it does not follow from the state.
        """
        self._catch_up()
        self._end(ended, state=state, fulfils=fulfils or _FULFILS.get(state), reason=reason)

    def pause_after_outage(self, ended: Ended | None = None) -> None:
        """Wait until the store is reachable and release the run as paused; do not wait for the artifact storage.

        ended: the last event, if training could stop at a step.
        """
        self._catch_up()
        where = f" at step {ended.step:,}" if ended else ""
        point = "there" if ended and self.saved_all else "its last checkpoint"
        away = (
            "run store"
            if self._outage.longest is Place.STORE
            else f"place of the saved files ({self._artifacts.shown})"
        )
        reason = (
            f"The {away} was unreachable for {self._outage.longest_s:.0f} s, so training paused{where}: "
            f"resume continues from {point}."
        )
        self._end(ended, state=RunState.PAUSED, fulfils=RunRequest.RUN, reason=reason)

    def hand_back(self, ended: Ended) -> None:
        """Store the last points and put the run back into the queue; another machine can resume from its checkpoint."""
        self._catch_up()
        self._end(ended, state=RunState.INTERRUPTED, fulfils=RunRequest.RUN, reason="", again=True)

    def fail(self, reason: str) -> None:
        """Store why the run failed. Its saved files remain, and Resume continues from them."""
        self._end(None, state=RunState.FAILED, fulfils=None, reason=reason)

    def _end(
        self,
        ended: Ended | None,
        *,
        state: RunState,
        fulfils: RunRequest | None,
        reason: str,
        again: bool = False,
    ) -> None:
        result: dict[str, Any] = {}
        if ended is not None:
            summary = {**ended.summary, "outcome": ended.outcome, "step": ended.step, "epoch": ended.epoch}
            result = {"summary": summary, "seconds": ended.time_s, "findings": self._judge(ended=state.over)}
        run, lease = self._run.id, self._run.lease
        self._outage.call(
            lambda: self._store.leases.finish(
                run, lease, state=state, fulfils=fulfils, reason=reason, again=again, **result
            ),
            patient=True,
        )

    # -- events -------------------------------------------------------------------------------------------------------

    def _start(self, event: Started) -> None:
        began = time.monotonic()
        # These answers may belong to a step that is now rewound.
        if self._progress.has_answers and self._last_step() > event.step:
            self._progress.drop_answers()
        self._files.delete(
            self._outage.call(lambda: self._store.history.rewind(self._run.id, self._run.lease, event.step))
        )
        self._progress.start(event, now_s=began)
        environment = {
            **event.environment,
            "normalization": self._normalization,
            "params": event.params,
            "train_images": event.train_images,
            "val_images": event.val_images,
            "test_images": event.test_images,
            **self._data.environment(),
            **({"fork_state": self._fork_state} if self._fork_state else {}),
        }
        self._data = DataFacts.from_environment(environment, classes=self._data.classes)
        run, lease = self._run.id, self._run.lease
        self._outage.call(
            lambda: self._store.leases.set_environment(run, lease, environment=environment, device=event.device)
        )
        for name, series in self._outage.call(lambda: self._store.points.read(run)).items():
            self._history.replace(name, series.step, series.value)
        self._diagnose()  # findings of an earlier attempt may refer to epochs that were rewound

    def _last_step(self) -> int:
        """Return the latest step whose loss is stored, 0 if there is none."""
        curves = self._outage.call(lambda: self._store.points.read(self._run.id, series=(BATCH_LOSS.id,)))
        losses = curves.get(BATCH_LOSS.id)
        return int(losses.step[-1]) if losses is not None and len(losses.step) else 0

    def _steps(self, event: StepMetrics) -> None:
        self._add(BATCH_LOSS.id, event.step, event.loss, event.time_s)
        self._add(BATCH_ACCURACY.id, event.step, event.accuracy, event.time_s)
        if event.lr_step.size:
            self._add(
                LEARNING_RATE.id, event.lr_step, event.lr, event.time_s[np.searchsorted(event.step, event.lr_step)]
            )
        now = time.monotonic()
        self._progress.add_steps(event, now_s=now)
        if now - self._flushed >= self._pace.flush_s(FLUSH_S):
            self._flush()
        if now - self._diagnosed >= DIAGNOSE_S or not np.isfinite(event.loss).all():
            self._diagnose()

    def _evaluated(self, event: Evaluated) -> None:
        at, when = np.array([event.step]), np.array([event.time_s])
        for name, value in event.metrics.items():
            self._add(name, at, np.array([value], dtype=np.float64), when)
        self._progress.evaluate(event)
        self._flush()
        if event.epoch_end:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items() if "/" in name)
            log_worker(f"epoch {event.epoch}, step {event.step}: {numbers}")
            self._diagnose()

    def _save(self, event: Snapshot) -> None:
        self._flush_all()
        if not self.saved_all:  # after a later checkpoint, the file that was given up would never be saved
            return
        try:
            self._unlisted.append(self._write_file(event))
        except ArtifactsUnreachableError:
            self.saved_all = False  # only earlier files remain
        except (ArtifactError, StoreBusyError):
            if not self._outage.exceeded:
                raise
            self.saved_all = False  # both the store and the storage of the files are unreachable
        self._list_files()

    def _write_file(self, event: Snapshot) -> SavedFile:
        """Write a snapshot; wait if the artifact storage or the store is unreachable."""
        while True:
            try:
                saved = self._files.write(event)
            except (StoreBusyError, ArtifactsUnreachableError) as error:
                self._outage.refused(error)
                if self._outage.hopeless:
                    raise
                self._outage.wait()
            else:
                self._outage.answered(Place.FILES)
                return saved

    def _list_files(self) -> None:
        """List saved files in the store; if the store is unreachable, they are listed later."""
        try:
            self._list_waiting()
        except StoreBusyError:  # unreachable for too long: the worker pauses the run, and `_catch_up` lists the rest
            return

    def _list_waiting(self, *, patient: bool = False) -> None:
        """List saved files once all earlier points are stored: a checkpoint is never ahead of the store."""
        while self._unlisted and not self._buffer:
            self._outage.call(lambda: self._files.list(self._unlisted[0]), patient=patient)
            self._unlisted.pop(0)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _add(self, name: str, step: np.ndarray, value: np.ndarray, time_s: np.ndarray) -> None:
        self._buffer[name].append((step, value, time_s))
        self._history.add(name, step, value)

    def _flush_all(self) -> None:
        """Store all points before anything that depends on them; retry until the limit of the outage."""
        self._flush()
        while self._buffer and not self._outage.hopeless:
            self._outage.wait()
            self._flush()

    def _catch_up(self) -> None:
        """Store everything pending, no matter how long it takes. Raises `StoreBusyError` if the process ends."""
        self._outage.call(self._append, patient=True)
        self._list_waiting(patient=True)
        self._outage.call(self._write_notices, patient=True)
        self._files.delete(())

    def _flush(self) -> None:
        """Store the buffered points; if the store is unreachable, they are kept for the next flush."""
        try:
            self._append()
        except StoreBusyError as error:
            self._outage.refused(error)
        else:
            self._outage.answered()

    def _append(self) -> None:
        if not self._buffer:
            return
        points = {
            name: Series(name, *(np.concatenate(column) for column in zip(*parts, strict=True)))
            for name, parts in self._buffer.items()
        }
        self._store.points.append(self._run.id, self._run.lease, points, progress=self._progress.values)
        self._buffer.clear()
        self._flushed = time.monotonic()

    def _diagnose(self) -> None:
        """Replace the stored findings if they have changed; if the store is busy, leave it to the next call."""
        self._diagnosed = time.monotonic()
        findings = self._judge(ended=False)
        if findings != self._findings:
            try:
                self._store.findings.set(self._run.id, self._run.lease, findings)
            except StoreBusyError:
                return
            self._findings = findings

    def _judge(self, *, ended: bool) -> tuple[Finding, ...]:
        return diagnose_run(self._run.config, self._history.read(), self._data, ended=ended)

    def _notice(self, text: str) -> None:
        if text not in self._noticed:
            self._noticed.add(text)
            self._unwritten.append(text)
            try:
                self._write_notices()
            except StoreBusyError as error:
                self._outage.refused(error)

    def _write_notices(self) -> None:
        while self._unwritten:
            self._store.leases.add_notice(self._run.id, self._run.lease, self._unwritten[0])
            self._unwritten.pop(0)
