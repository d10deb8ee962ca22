"""Keeps what training tells: points in the store before the checkpoint that follows them, weights within a budget.

A buffer is emptied only after its commit returned, so what the store acknowledged is never lost and what it refused is
tried again. The rules of `lab.diagnosis` are asked at every epoch's end, now and then inside one, and at the run's end;
each time their findings replace the earlier ones as a whole.
"""

import math
import time
from collections import defaultdict
from typing import Any

import numpy as np

from lab.diagnosis.curves import DataFacts, Points
from lab.diagnosis.rules import diagnose_run
from lab.errors import StoreBusyError
from lab.findings import Finding
from lab.runs.artifacts import ArtifactStore
from lab.runs.records import CHECKPOINT, WEIGHTS, KeptFile, RunRecord, RunState, Series
from lab.runs.rows import AFTER_DEATH
from lab.runs.store import RunStore
from lab.training.events import Ended, Evaluated, Event, Kept, Notice, Started, StepMetrics

FLUSH_S = 0.5  # the store's points are at most this old
DIAGNOSE_S = 5.0  # how often the curves are looked at inside an epoch
BUSY_LIMIT_S = 60.0  # a store that refuses longer than this ends the run
MB = 1_000_000

_HEARD = {state: wish for wish, state in AFTER_DEATH.items()}  # the wish that a run which ends so has heard
_Points = dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]


class Journal:
    """Takes a run's events and writes them down under the run's lease."""

    def __init__(self, store: RunStore, artifacts: ArtifactStore, run: RunRecord) -> None:
        self._store, self._artifacts, self._run = store, artifacts, run
        self._buffer: _Points = defaultdict(list)
        self._history: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
        self._progress: dict[str, Any] = {"epochs": run.config.epochs}
        self._told = set(run.notices)
        self._findings = run.findings
        self._data = DataFacts(classes=10)
        self._normalization: list[float] = []
        self._started_at = (0, 0.0)  # step and clock at which this attempt began, for an honest time left
        self._flushed = self._diagnosed = time.monotonic()
        self._busy_since: float | None = None
        self._val_loss: dict[int, float] = {}  # by step: what makes one epoch's weights the best

    # -- what the worker says -----------------------------------------------------------------------------------------

    def phase(self, text: str) -> None:
        """Show what is being done when nothing is being trained."""
        self._progress["phase"] = text
        self._store.set_progress(self._run.id, self._run.lease, self._progress)

    def describe(self, mean: float, std: float, data: DataFacts) -> None:
        """Note the normalisation the network is trained with, and its classes."""
        self._normalization, self._data = [mean, std], data

    def take(self, event: Event) -> None:
        """Keep one event."""
        match event:
            case Started():
                self._start(event)
            case StepMetrics():
                self._steps(event)
            case Evaluated():
                self._evaluated(event)
            case Kept():
                self._keep(event)
            case Notice():
                self._notice(event.message)
            case Ended():
                raise ValueError("the end of a run is written by finish")

    def finish(self, ended: Ended, *, state: RunState, reason: str) -> None:
        """Write the last points and the result, and give the run back."""
        self._flush_all()
        summary = {**ended.summary, "outcome": ended.outcome, "step": ended.step, "epoch": ended.epoch}
        self._store.finish(
            self._run.id, self._run.lease, state=state, heard=_HEARD.get(state), reason=reason, summary=summary,
            seconds=ended.time_s, findings=self._judge(ended=state.over),
        )  # fmt: skip

    def fail(self, reason: str) -> None:
        """Write down why the run ended; what it had kept stays, and Resume goes on from there."""
        self._store.finish(self._run.id, self._run.lease, state=RunState.FAILED, reason=reason)

    # -- events -------------------------------------------------------------------------------------------------------

    def _start(self, event: Started) -> None:
        self._started_at = (event.step, time.monotonic())
        self._artifacts.delete(self._store.rewind(self._run.id, self._run.lease, event.step))
        self._progress |= {
            "step": event.step, "total_steps": event.total_steps, "steps_per_epoch": event.steps_per_epoch,
            "device": event.device, "phase": "training",
        }  # fmt: skip
        environment = {
            **event.environment, "normalization": self._normalization, "params": event.params,
            "train_images": event.train_images, "val_images": event.val_images, "test_images": event.test_images,
            **self._data.environment(),
        }  # fmt: skip
        self._data = DataFacts.from_environment(environment, classes=self._data.classes)
        self._store.set_environment(self._run.id, self._run.lease, environment=environment, device=event.device)
        for name, series in self._store.points(self._run.id).items():
            self._history[name] = [(series.step, series.value)]
            if name == "val/loss":
                self._val_loss |= dict(zip(series.step.tolist(), series.value.tolist(), strict=True))
        self._diagnose()  # those of an earlier attempt may speak of epochs that it went back from

    def _steps(self, event: StepMetrics) -> None:
        self._add("batch/loss", event.step, event.loss, event.time_s)
        self._add("batch/accuracy", event.step, event.accuracy, event.time_s)
        step, seconds = int(event.step[-1]), float(event.time_s[-1])
        self._progress |= {
            "step": step, "seconds": seconds, "images_per_second": event.images_per_second,
            "epoch": -(-step // max(1, int(self._progress["steps_per_epoch"]))), "eta_seconds": self._time_left(step),
        }  # fmt: skip
        now = time.monotonic()
        if now - self._flushed >= FLUSH_S:
            self._flush()
        if now - self._diagnosed >= DIAGNOSE_S or not np.isfinite(event.loss).all():
            self._diagnose()

    def _time_left(self, step: int) -> float | None:
        first, since = self._started_at
        if step <= first:
            return None
        return (time.monotonic() - since) / (step - first) * (int(self._progress["total_steps"]) - step)

    def _evaluated(self, event: Evaluated) -> None:
        at, when = np.array([event.step]), np.array([event.time_s])
        if "val/loss" in event.metrics and not math.isnan(event.metrics["val/loss"]):
            self._val_loss[event.step] = event.metrics["val/loss"]
        for name, value in event.metrics.items():
            self._add(name, at, np.array([value], dtype=np.float64), when)
        self._progress |= {"seconds": event.time_s, "latest": dict(event.metrics)}
        self._flush()
        if event.epoch_end:
            self._diagnose()

    def _keep(self, event: Kept) -> None:
        self._flush_all()  # points first: a checkpoint never knows more than the store
        old = self._store.kept(self._run.id, kind=event.kind)
        kept = self._write(event)
        # Beside an epoch's weights, those of a stop inside it would be a second epoch of that number.
        stale = [k for k in old if k.path != kept.path and (event.kind == CHECKPOINT or k.epoch == kept.epoch)]
        self._forget(stale)
        if event.kind == WEIGHTS:
            self._stay_within_budget([*(k for k in old if k not in stale and k.path != kept.path), kept])

    def _write(self, event: Kept) -> KeptFile:
        path = f"{self._run.id}/{event.kind}-{event.step:09d}-{self._run.lease}.safetensors"
        sha256, size = self._artifacts.write(path, event.data())
        kept = KeptFile(
            run=self._run.id, kind=event.kind, step=event.step, epoch=event.epoch, path=path, sha256=sha256,
            bytes=size, created_at=time.time(),
        )  # fmt: skip
        self._store.keep(self._run.id, self._run.lease, kept)
        return kept

    def _stay_within_budget(self, kept: list[KeptFile]) -> None:
        total = sum(k.bytes for k in kept)
        judged = [k for k in kept if k.step in self._val_loss]
        best = min(judged, key=lambda k: self._val_loss[k.step], default=None)
        surplus = []
        for file in kept[:-1]:  # in step order, and the newest always stays
            if total <= self._run.config.keep_mb * MB:
                break
            if file != best:
                surplus.append(file)
                total -= file.bytes
        if surplus:
            self._forget(surplus)
            self._notice(
                f"The weights of all epochs need more than the disk budget of {self._run.config.keep_mb} MB: "
                "the oldest are deleted, but never the best or the newest. Raise keep_mb to keep more."
            )

    def _forget(self, files: list[KeptFile]) -> None:
        if files:
            free = self._store.forget_kept(self._run.id, self._run.lease, [k.path for k in files])
            self._artifacts.delete(free)

    # -- the store ----------------------------------------------------------------------------------------------------

    def _add(self, name: str, step: np.ndarray, value: np.ndarray, time_s: np.ndarray) -> None:
        self._buffer[name].append((step, value, time_s))
        self._history[name].append((step, value))

    def _flush_all(self) -> None:
        """Write every point down before anything that must not overtake them, however long the store is busy."""
        while self._buffer:
            self._flush()

    def _flush(self) -> None:
        points = {
            name: Series(name, *(np.concatenate(column) for column in zip(*parts, strict=True)))
            for name, parts in self._buffer.items()
        }
        try:
            self._store.append_points(self._run.id, self._run.lease, points, progress=self._progress)
        except StoreBusyError:
            now = time.monotonic()
            self._busy_since = self._busy_since or now
            if now - self._busy_since > BUSY_LIMIT_S:
                raise
            return  # the buffer is still here; the next flush takes it along
        self._busy_since = None
        self._buffer.clear()
        self._flushed = time.monotonic()

    def _diagnose(self) -> None:
        """Replace the stored findings where they have changed; while the store is busy, the next time does it."""
        self._diagnosed = time.monotonic()
        findings = self._judge(ended=False)
        if findings != self._findings:
            try:
                self._store.set_findings(self._run.id, self._run.lease, findings)
            except StoreBusyError:
                return
            self._findings = findings

    def _judge(self, *, ended: bool) -> tuple[Finding, ...]:
        curves = {}
        for name, parts in self._history.items():
            step, value = (np.concatenate(column) for column in zip(*parts, strict=True))
            self._history[name], curves[name] = [(step, value)], Points(step, value)
        return diagnose_run(self._run.config, curves, self._data, ended=ended)

    def _notice(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._store.add_notice(self._run.id, self._run.lease, text)
