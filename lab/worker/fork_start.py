"""The initial state of a fork: that of the original run after a saved epoch, with its curves and weights up to there.

A run keeps only its latest checkpoint, and the weights of its epochs. If the epoch's checkpoint no longer exists, the
run's epochs are trained again without storing anything, and the weights of every epoch are compared bit for bit with
the saved ones. If they differ (another version of torch, another number of threads, a GPU), or if the initial state of
the run itself cannot be restored, the fork starts from the saved weights with a new optimizer state and records a
notice.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lab.checkpoint_files import decode_checkpoint, encode_checkpoint
from lab.errors import ArtifactError, DataError, InputError, RunNotFoundError, TrainingError
from lab.metrics import LOSS, METRICS, list_epoch_metrics
from lab.networks import build_from_config
from lab.runs.outage import Outage
from lab.runs.records import RunRecord, Series
from lab.runs.run_facts import ForkState
from lab.service.forks import ForkPoint, find_fork_point, list_fork_points
from lab.service.lab import Lab
from lab.service.networks import build_with_weights
from lab.training.checkpoint import Checkpoint, weights_digest
from lab.training.data import ResidentData
from lab.training.engine import train
from lab.training.events import Command, Ended, Evaluated, Notice, Snapshot
from lab.training.fork import (
    EpochRecord,
    begin_from_weights,
    continue_with,
    keeps_optimizer_state,
    move_step,
    same_objective,
)
from lab.worker.recorder import RunRecorder
from lab.worker.run_data import read_data

_LOSSES = frozenset(name for name, metric in METRICS.items() if metric.quantity is LOSS)
_PART = 2_000  # points of a curve stored in one transaction


class RecomputingEndedError(Exception):
    """The user requested to pause or stop while epochs were recomputed, before the fork itself was trained."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.outcome)
        self.ended = Ended(ended.outcome, step=0, epoch=0, time_s=0.0, summary={})


class _NotRepeatableError(Exception):
    """The state of the original run cannot be restored; the message gives the reason."""


class ForkStart:
    """Creates the initial state of one fork, under its lease.

    command: polled while epochs are recomputed. outage: waits for the store if it does not respond.
    """

    def __init__(
        self,
        lab: Lab,
        run: RunRecord,
        recorder: RunRecorder,
        device: torch.device,
        command: Callable[[], Command],
        outage: Outage,
    ) -> None:
        self._lab, self._run, self._recorder = lab, run, recorder
        self._device, self._command, self._outage = device, command, outage
        self._recomputed = False

    def make(self, data: ResidentData) -> Checkpoint:
        """Store the curves and files that belong to the initial state in the fork, and return that state.

        Raises `RunNotFoundError` if the original run was deleted, `InputError` if its epoch is no longer saved, and
        `RecomputingEndedError`.
        """
        config, images = self._run.config, len(data.train_y)
        point = self._outage.call(self._find_point)
        before = point.run.config
        state, how = self._state(point, images)
        state = self._outage.call(partial(self._with_best_weights, state, point))
        if how is not ForkState.WEIGHTS and not keeps_optimizer_state(before, config):
            self._recorder.record(
                Notice(
                    "fork-optimizer",
                    f"The optimizer's state is new: that of {before.optimizer} does not fit this run's settings.",
                )
            )
        start = continue_with(state, before=before, config=config, train_images=images)
        self._recorder.forked(how)
        self._outage.call(partial(self._take_history, point, now=start.progress.step // point.epoch))
        self._recorder.record(Snapshot("checkpoint", start.progress.step, point.epoch, lambda: start))
        return start

    def _find_point(self) -> ForkPoint:
        config = self._run.config
        try:
            run = self._lab.store.runs.get(config.fork_of)
        except RunNotFoundError as error:
            raise RunNotFoundError(
                f"Run {config.fork_of}, which this one continues, was deleted: restore it with "
                f"`delete --undo {config.fork_of}` and resume this run, or delete this one too."
            ) from error
        return find_fork_point(self._lab.store, run, config.fork_epoch)

    # -- the state ----------------------------------------------------------------------------------------------------

    def _state(self, point: ForkPoint, images: int) -> tuple[Checkpoint, ForkState]:
        """Return the state of the original run after the epoch, with that run's settings, and how it was obtained."""
        try:
            state = self._state_after(point.run, point.epoch)
        except _NotRepeatableError as reason:
            self._recorder.record(
                Notice(
                    "fork-weights",
                    f"The state of run {point.run.id} after epoch {point.epoch} could not be restored ({reason}), "
                    "so this run started from the saved weights with a new optimizer state: "
                    "even with the same settings its results may differ.",
                )
            )
            return self._outage.call(partial(self._from_weights, point, images)), ForkState.WEIGHTS
        return state, ForkState.RECOMPUTED if self._recomputed else ForkState.CHECKPOINT

    def _state_after(self, run: RunRecord, epoch: int) -> Checkpoint:
        """Return the bit-exact state of a run after an epoch. Raises `_NotRepeatableError`."""
        config = run.config
        if config.fork_of and epoch <= config.fork_epoch:
            return self._before_fork(run, epoch)
        saved = self._outage.call(partial(self._checkpoint_of, run.id))
        if saved is not None and _is_after(saved, epoch):
            return saved
        return self._recompute(run, epoch)

    def _before_fork(self, run: RunRecord, epoch: int) -> Checkpoint:
        """Return the state of a fork at or before its first epoch: that of its original run, adapted to the fork."""
        try:
            origin = self._outage.call(partial(self._lab.store.runs.get, run.config.fork_of))
        except RunNotFoundError as error:
            raise _NotRepeatableError(
                f"run {run.config.fork_of}, of which it is itself a fork, was deleted or is in another lab"
            ) from error
        images = run.environment.train_images
        if images is None:
            raise _NotRepeatableError("its record does not say how many images it was trained on")
        if run.environment.fork_state == ForkState.WEIGHTS:
            raise _NotRepeatableError("it was itself started from saved weights")
        state = self._state_after(origin, epoch)
        return continue_with(state, before=origin.config, config=run.config, train_images=images)

    def _checkpoint_of(self, run: str) -> Checkpoint | None:
        try:
            saved = self._lab.weights.newest_checkpoint(run)
            return None if saved is None else decode_checkpoint(saved)
        except (ArtifactError, RunNotFoundError):  # replaced or purged in the meantime, or damaged: it is recomputed
            return None

    def _recompute(self, run: RunRecord, epoch: int) -> Checkpoint:
        """Train a run's configuration to the end of an epoch, with its number of threads, without storing anything."""
        before, threads = torch.get_num_threads(), run.environment.threads
        if self._device.type == "cpu" and threads and threads <= (os.cpu_count() or 1):
            torch.set_num_threads(threads)
        try:
            return self._train_again(run, epoch)
        finally:
            torch.set_num_threads(before)

    def _train_again(self, run: RunRecord, epoch: int) -> Checkpoint:
        config = run.config
        begin = self._earlier_state(run, epoch)
        try:
            data = read_data(self._lab, config, self._device)
            build = partial(build_from_config if begin else self._lab.weights.build_initial, config)
            saved, network = self._outage.call(partial(_SavedWeights, self._lab, run)), self._outage.call(build)
        except (RunNotFoundError, InputError, ArtifactError, DataError) as error:
            raise _NotRepeatableError(str(error).rstrip(".")) from error
        done = begin.progress.epoch if begin else 0
        self._say(done + 1, epoch, done)
        events = train(config, network=network, data=data, device=self._device, command=self._command, resume=begin)
        try:
            for event in events:
                match event:
                    case Ended():
                        if event.outcome in ("paused", "stopped"):
                            raise RecomputingEndedError(event)
                        raise _NotRepeatableError(f"it ended after epoch {event.epoch} when it was trained again")
                    case Evaluated(epoch_end=True):
                        self._say(done + 1, epoch, event.epoch)
                    case Snapshot(kind="weights"):
                        saved.compare(network.state_dict(), event.epoch)
                    case Snapshot(kind="checkpoint"):
                        state = event.state()
                        if isinstance(state, Checkpoint) and _is_after(state, epoch):
                            self._recomputed = True
                            return decode_checkpoint(encode_checkpoint(state))  # the tensors are the network's own
        except TrainingError as error:
            raise _NotRepeatableError(str(error).rstrip(".")) from error
        finally:
            events.close()
        raise AssertionError("training ended without its last event")

    def _earlier_state(self, run: RunRecord, epoch: int) -> Checkpoint | None:
        """Return the state to recompute from: a fork's initial state, or the end of the shorter run it continued."""
        if run.config.fork_of:
            return self._before_fork(run, run.config.fork_epoch)
        return self._outage.call(partial(self._shorter_run, run, epoch))

    def _shorter_run(self, run: RunRecord, epoch: int) -> Checkpoint | None:
        if run.parent and run.family:
            try:
                shorter = self._lab.store.runs.get(run.parent)
            except RunNotFoundError:
                return None
            saved = self._checkpoint_of(shorter.id) if shorter.family == run.family else None
            if saved is not None and saved.progress.epoch <= epoch and _is_after(saved, saved.progress.epoch):
                return saved
        return None

    def _say(self, first: int, last: int, done: int) -> None:
        which = f"epochs {first} to {last}" if first < last else f"epoch {last}"
        so_far = f", {done} done" if done >= first else ""
        self._recorder.phase(f"recomputing {which}{so_far}")

    def _from_weights(self, point: ForkPoint, images: int) -> Checkpoint:
        network = build_with_weights(point.run.config, self._lab.artifacts.read(point.weights))
        return begin_from_weights(
            network.state_dict(),
            self._epoch_records(point),
            epoch=point.epoch,
            config=point.run.config,
            train_images=images,
        )

    def _epoch_records(self, point: ForkPoint) -> dict[int, EpochRecord]:
        """Return what the original run recorded at the end of each epoch up to the point."""
        ends = {epoch * point.steps_per_epoch: epoch for epoch in range(1, point.epoch + 1)}
        metrics: dict[int, dict[str, float]] = defaultdict(dict)
        times: dict[int, float] = {}
        names = [metric.id for metric in list_epoch_metrics()]
        for name, series in self._lab.store.points.read(point.run.id, series=names).items():
            columns = (series.step.tolist(), series.value.tolist(), series.time_s.tolist())
            for step, value, time_s in zip(*columns, strict=True):
                if step in ends:
                    metrics[ends[step]][name] = value
                    times[ends[step]] = time_s
        return {epoch: EpochRecord(found, times[epoch]) for epoch, found in metrics.items()}

    def _with_best_weights(self, state: Checkpoint, point: ForkPoint) -> Checkpoint:
        """Add the weights of the best epoch if the fork will restore them and the original run did not keep them."""
        best = state.progress.best_epoch
        if not self._run.config.restore_best or state.best or not best:
            return state
        file = next((one.weights for one in list_fork_points(self._lab.store, point.run) if one.epoch == best), None)
        if file is None:
            return state
        network = build_with_weights(point.run.config, self._lab.artifacts.read(file))
        return replace(state, best=network.state_dict())

    # -- curves and files ---------------------------------------------------------------------------------------------

    def _take_history(self, point: ForkPoint, *, now: int) -> None:
        """Copy the original run's curves and list its saved weights in the fork, up to the epoch.

        If the objective changes, losses are omitted, and also weights, because they would be compared by loss. now: the
        fork's steps per epoch, to which the steps of the points are rescaled.
        """
        comparable = same_objective(point.run.config, self._run.config)
        run, lease = self._run.id, self._run.lease
        last = point.epoch * point.steps_per_epoch
        for name, series in self._lab.store.points.read(point.run.id).items():
            if not comparable and name in _LOSSES:
                continue
            moved = _moved(series, last=last, before=point.steps_per_epoch, now=now)
            for part in range(0, len(moved.step), _PART):
                self._lab.store.points.append(run, lease, {name: moved[part : part + _PART]})
        if not comparable:
            return
        for shared in list_fork_points(self._lab.store, point.run):
            if shared.epoch <= point.epoch:
                self._lab.store.files.add(run, lease, replace(shared.weights, run=run, step=shared.epoch * now))


class _SavedWeights:
    """The saved weights of a run, to compare with those of the same epochs trained again."""

    def __init__(self, lab: Lab, run: RunRecord) -> None:
        self._lab, self._config = lab, run.config
        self._points = {point.epoch: point for point in list_fork_points(lab.store, run)}

    def compare(self, weights: Mapping[str, Tensor], epoch: int) -> None:
        """Raise `_NotRepeatableError` if the saved weights of the epoch differ from these."""
        point = self._points.get(epoch)
        if point is not None and weights_digest(weights) != self._digest(point):
            raise _NotRepeatableError(f"trained again, its weights after epoch {epoch} are not the saved ones")

    def _digest(self, point: ForkPoint) -> str:
        network = build_with_weights(self._config, self._lab.artifacts.read(point.weights))
        return weights_digest(network.state_dict())


def _is_after(saved: Checkpoint, epoch: int) -> bool:
    """Return whether a checkpoint was made at the end of this epoch, after its metrics were computed.

    A checkpoint made before the first step of an epoch has that epoch's number too, but belongs to the end of the one
    before.
    """
    progress = saved.progress
    return progress.epoch == epoch and progress.closed == progress.step and progress.step_in_epoch > 0


def _moved(series: Series, *, last: int, before: int, now: int) -> Series:
    """Return a curve up to step `last`, rescaled to epochs of `now` steps; of equal steps the last point is kept."""
    count = int(np.searchsorted(series.step, last, side="right"))
    series = series[:count]
    if before == now:
        return series
    moved = move_step(series.step, before=before, now=now)
    stays = np.append(moved[1:] != moved[:-1], True) if count else np.empty(0, dtype=bool)
    return replace(series, step=moved)[stays]
