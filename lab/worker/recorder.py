"""Writes down what training emits: points in the store before the checkpoint that follows them, findings, the result.

A buffer is emptied only after its commit returned, so what the store acknowledged is never lost and what it refused is
tried again. While the store is busy or unreachable training goes on, and saved files wait to be listed; after a longer
outage the worker pauses the run. The rules of `lab.diagnosis` are applied at every epoch's end, now and then inside one,
and at the run's end; each time their findings replace the earlier ones as a whole.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_run
from lab.errors import ArtifactError, ArtifactsUnreachableError, StoreBusyError
from lab.findings import Finding
from lab.metrics import BATCH_ACCURACY, BATCH_LOSS, LEARNING_RATE, TEST_LOSS
from lab.runs.artifacts import ArtifactStore
from lab.runs.outage import Outage, Place
from lab.runs.records import RunRecord, RunRequest, RunState, SavedFile, Series
from lab.runs.rows import EXPIRED_STATES
from lab.runs.run_facts import ForkState
from lab.runs.store import RunStore
from lab.training.events import Ended, Evaluated, Event, Notice, Snapshot, Started, StepMetrics
from lab.worker.curve_history import CurveHistory
from lab.worker.run_files import RunFiles
from lab.worker.supervisor.log import log_worker
from lab.worker.training_pace import TrainingPace

FLUSH_S = 0.5  # the store's points are at most this old, where few runs are in training (`lab.runs.pace`)
DIAGNOSE_S = 5.0  # how often the rules are applied inside an epoch
TRAINING, EVALUATING = "training", "evaluating"  # phases of a run whose steps have begun

_FULFILS = {state: request for request, state in EXPIRED_STATES.items()}  # the request that a run which ends so fulfils
_T = TypeVar("_T")
_Points = dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class RunRecorder:
    """Takes a run's events and writes them down under the run's lease."""

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
        self._unlisted: list[SavedFile] = []  # saved, and not yet in the store
        self.saved_all = True  # False once a file was given up, because its place was away for too long
        self._unwritten: list[str] = []  # notices that the store has not taken yet
        self._buffer: _Points = defaultdict(list)
        self._history = CurveHistory()
        self._progress: dict[str, Any] = {"epochs": run.config.epochs}
        if run.progress.answers:  # of an earlier attempt
            self._progress["answers"] = run.progress.answers
        self._noticed = set(run.notices)
        self._findings = run.findings
        self._data = DataFacts(classes=10)
        self._normalization: list[float] = []
        self._fork_state = run.environment.fork_state  # of an earlier attempt
        self._started_at = (0, 0.0)  # step and clock at which this attempt began, for an honest time left
        self._flushed = self._diagnosed = time.monotonic()

    # -- called by the worker ------------------------------------------------------------------------------------------

    def phase(self, text: str) -> None:
        """Show what is being done when nothing is being trained."""
        self._progress["phase"] = text
        log_worker(text)
        self._call(lambda: self._store.leases.set_progress(self._run.id, self._run.lease, self._progress))

    def describe(self, mean: float, std: float, data: DataFacts) -> None:
        """Note the normalisation the network is trained with, and its classes."""
        self._normalization, self._data = [mean, std], data

    def forked(self, how: ForkState) -> None:
        """Note how a fork got its first state."""
        self._fork_state = how.value

    def record(self, event: Event) -> None:
        """Write down one event."""
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
                raise ValueError("the end of a run is written by finish")

    def finish(self, ended: Ended, *, state: RunState, reason: str, fulfils: RunRequest | None = None) -> None:
        """Write the last points and the result, and release the run, however long the store is away.

        fulfils: the request that it ends so for, where the state does not say it.
        """
        self._catch_up()
        self._end(ended, state=state, fulfils=fulfils or _FULFILS.get(state), reason=reason)

    def pause_after_outage(self, ended: Ended | None = None) -> None:
        """Wait until the store is back and release the run as paused; ended: where training could stop at a step.

        The place of the saved files need not be back.
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
            f"The {away} was unreachable for {self._outage.longest_s:.0f} s, so training paused{where}: resume goes on "
            f"from {point}."
        )
        self._end(ended, state=RunState.PAUSED, fulfils=RunRequest.RUN, reason=reason)

    def hand_back(self, ended: Ended) -> None:
        """Write the last points and put the run back into the queue, for a machine that goes on from its checkpoint."""
        self._catch_up()
        self._end(ended, state=RunState.INTERRUPTED, fulfils=RunRequest.RUN, reason="", again=True)

    def fail(self, reason: str) -> None:
        """Write down why the run ended; what it had saved stays, and Resume continues from there."""
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
        self._started_at = (event.step, time.monotonic())
        # They are of an evaluation that it goes back from.
        if "answers" in self._progress and self._tested_at() > event.step:
            del self._progress["answers"]
        self._files.delete(self._call(lambda: self._store.history.rewind(self._run.id, self._run.lease, event.step)))
        self._progress |= {
            "step": event.step,
            "total_steps": event.total_steps,
            "steps_per_epoch": event.steps_per_epoch,
            "device": event.device,
            "phase": TRAINING,
        }
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
        self._call(lambda: self._store.leases.set_environment(run, lease, environment=environment, device=event.device))
        for name, series in self._call(lambda: self._store.points.read(run)).items():
            self._history.replace(name, series.step, series.value)
        self._diagnose()  # those of an earlier attempt may speak of epochs that it went back from

    def _tested_at(self) -> float:
        """Return the step of the run's newest evaluation of the test set, infinity where there is none."""
        tested = self._call(lambda: self._store.points.read(self._run.id, series=(TEST_LOSS.id,))).get(TEST_LOSS.id)
        return math.inf if tested is None or not len(tested.step) else int(tested.step[-1])

    def _steps(self, event: StepMetrics) -> None:
        self._add(BATCH_LOSS.id, event.step, event.loss, event.time_s)
        self._add(BATCH_ACCURACY.id, event.step, event.accuracy, event.time_s)
        if event.lr_step.size:
            self._add(
                LEARNING_RATE.id, event.lr_step, event.lr, event.time_s[np.searchsorted(event.step, event.lr_step)]
            )
        step, seconds = int(event.step[-1]), float(event.time_s[-1])
        self._progress |= {
            "step": step,
            "seconds": seconds,
            "images_per_second": event.images_per_second,
            "epoch": -(-step // max(1, int(self._progress["steps_per_epoch"]))),
            "eta_seconds": self._time_left(step),
        }
        # What is tested after an epoch may take longer than its steps, and then nothing else changes.
        self._progress["phase"] = EVALUATING if self._ends_epoch(step) else TRAINING
        now = time.monotonic()
        if now - self._flushed >= self._pace.flush_s(FLUSH_S):
            self._flush()
        if now - self._diagnosed >= DIAGNOSE_S or not np.isfinite(event.loss).all():
            self._diagnose()

    def _ends_epoch(self, step: int) -> bool:
        return step % max(1, int(self._progress["steps_per_epoch"])) == 0 or step == self._progress["total_steps"]

    def _time_left(self, step: int) -> float | None:
        first, since = self._started_at
        if step <= first:
            return None
        return (time.monotonic() - since) / (step - first) * (int(self._progress["total_steps"]) - step)

    def _evaluated(self, event: Evaluated) -> None:
        at, when = np.array([event.step]), np.array([event.time_s])
        for name, value in event.metrics.items():
            self._add(name, at, np.array([value], dtype=np.float64), when)
        self._progress |= {"seconds": event.time_s, "latest": dict(event.metrics), "phase": TRAINING}
        if event.answers is not None:
            self._progress["answers"] = [list(answer) for answer in event.answers]
        self._flush()
        if event.epoch_end:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in event.metrics.items() if "/" in name)
            log_worker(f"epoch {event.epoch}, step {event.step}: {numbers}")
            self._diagnose()

    def _save(self, event: Snapshot) -> None:
        self._flush_all()
        if not self.saved_all:  # a checkpoint after a file that was given up would leave that one out for good
            return
        try:
            self._unlisted.append(self._write_file(event))
        except ArtifactsUnreachableError:
            self.saved_all = False  # what was saved before has to do
        except (ArtifactError, StoreBusyError):
            if not self._outage.exceeded:
                raise
            self.saved_all = False  # the saved files are away as well as the store
        self._list_files()

    def _write_file(self, event: Snapshot) -> SavedFile:
        """Write a snapshot, waiting for a place of saved files that is away; a folder says nothing of the store."""
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
        """List what is saved; what the store does not take now is listed later."""
        try:
            self._list_waiting()
        except StoreBusyError:  # away for too long: the worker pauses the run, and `_catch_up` lists the rest
            return

    def _list_waiting(self, *, patient: bool = False) -> None:
        """List what is saved, after the points that go before it: a checkpoint never knows more than the store."""
        while self._unlisted and not self._buffer:
            self._outage.call(lambda: self._files.list(self._unlisted[0]), patient=patient)
            self._unlisted.pop(0)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _add(self, name: str, step: np.ndarray, value: np.ndarray, time_s: np.ndarray) -> None:
        self._buffer[name].append((step, value, time_s))
        self._history.add(name, step, value)

    def _call(self, operation: Callable[[], _T]) -> _T:
        return self._outage.call(operation)

    def _flush_all(self) -> None:
        """Write every point down before anything that must not overtake them, or wait for it until the outage's limit."""
        self._flush()
        while self._buffer and not self._outage.hopeless:
            self._outage.wait()
            self._flush()

    def _catch_up(self) -> None:
        """Write down everything that waits, however long the store is away. Raises `StoreBusyError` at the process's end."""
        self._outage.call(self._append, patient=True)
        self._list_waiting(patient=True)
        self._outage.call(self._write_notices, patient=True)
        self._files.delete(())

    def _flush(self) -> None:
        """Write the points down; where the store is away they stay, and the next flush takes them along."""
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
        self._store.points.append(self._run.id, self._run.lease, points, progress=self._progress)
        self._buffer.clear()
        self._flushed = time.monotonic()

    def _diagnose(self) -> None:
        """Replace the stored findings where they have changed; while the store is busy, the next time does it."""
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
