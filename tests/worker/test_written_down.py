"""All calls of a worker to the store and to the location of the saved files, in order.

The clock advances only when the script advances it.
"""

import itertools
import re
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lab.config import RunConfig
from lab.diagnosis.curves import DataFacts
from lab.errors import ArtifactsUnreachableError, DataError, LabError, StoreBusyError
from lab.runs.outage import Outage
from lab.runs.owner import Owner
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRequest, RunState, Series
from lab.runs.run_facts import ForkState
from lab.training.checkpoint import Checkpoint, Weights
from lab.training.events import Ended, Evaluated, Notice, Snapshot, Started, StepMetrics
from lab.training.progress import Progress
from lab.worker import execution, run_files
from lab.worker import recorder as module
from lab.worker.heartbeat import Heartbeat
from lab.worker.recorder import RunRecorder
from lab.worker.training_pace import TrainingPace
from tests.snapshots import check, flat
from tests.worker.worker_runs import Passing, claim, open_lab

CONFIG = RunConfig(arch="lenet5", dataset="digits", epochs=2, keep_mb=1, device="cpu")
NOW = 1_800_000_000.0
_MAX_CALLS = 2_000


class CallRecorder:
    """A store, or a part of it, whose calls are recorded. failing: how many of the next calls of a name fail."""

    def __init__(
        self, real: Any, calls: list[str], failing: Counter[str], error: Callable[[], Exception], name: str = ""
    ) -> None:
        self._real, self._calls, self._failing, self._error, self._name = real, calls, failing, error, name

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._real, name)
        place = f"{self._name}.{name}".lstrip(".")
        if not callable(part):
            return (
                part
                if isinstance(part, str | Path)
                else CallRecorder(part, self._calls, self._failing, self._error, place)
            )

        def call(*arguments: Any, **named: Any) -> Any:
            parts = [part_ for each in arguments for part_ in _words(each)]
            parts += [f"{key}: {'; '.join(_words(value))}" for key, value in named.items()]
            assert len(self._calls) < _MAX_CALLS, "it repeats calls without waiting"
            away = self._failing[place] > 0
            self._calls.append(f"{place} | {' | '.join(parts)}{' | IS AWAY' if away else ''}")
            if away:
                self._failing[place] -= 1
                raise self._error()
            return part(*arguments, **named)

        return call


def _words(value: Any) -> list[str]:
    if isinstance(value, bytes):
        return [f"{len(value)} bytes"]
    if isinstance(value, dict) and value and all(isinstance(each, Series) for each in value.values()):
        return [_points(name, each) for name, each in value.items()]
    return flat(value).split("\n")


def _points(name: str, series: Series) -> str:
    assert name == series.name
    step, value, time_s = (flat(column[[0, -1]].tolist()) for column in (series.step, series.value, series.time_s))
    total = f"sum {series.value.sum():.7g}"
    return f"{name}: {len(series.step)} points, steps {step}, values {value}, seconds {time_s}, {total}"


class RecordedRun:
    """A recorder of a claimed run whose calls are listed in `calls`."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, *, pace: TrainingPace | None = None) -> None:
        self.lab, self.clock = open_lab(home), Passing()
        self.calls: list[str] = []
        self.store_failures: Counter[str] = Counter()
        self.files_failures: Counter[str] = Counter()
        for place in (module, run_files):
            monkeypatch.setattr(place, "time", self.clock)
        monkeypatch.setattr("lab.runs.outage.time", self.clock)
        for place in (module, run_files):
            monkeypatch.setattr(place, "log_worker", lambda text: self.calls.append(f"    log: {text}"))
        monkeypatch.setattr(Passing, "time", lambda self: NOW, raising=False)
        self.lab.submissions.submit(self.lab.validation.resolve(CONFIG))
        self.run = claim(self.lab)
        store = CallRecorder(
            self.lab.store, self.calls, self.store_failures, lambda: StoreBusyError("the store is away")
        )
        files = CallRecorder(
            self.lab.artifacts,
            self.calls,
            self.files_failures,
            lambda: ArtifactsUnreachableError("the files are away"),
            "artifacts",
        )
        outage = Outage(limit_s=30.0, ending=self.clock, say=lambda text: self.calls.append(f"    {text}"))
        self.recorder = RunRecorder(store, files, self.run, outage=outage, pace=pace)  # type: ignore[arg-type]

    def start(self, step: int = 0) -> None:
        self.recorder.record(
            Started(
                device="cpu",
                step=step,
                total_steps=40,
                steps_per_epoch=20,
                train_images=640,
                val_images=64,
                test_images=359,
                params=61_706,
                environment={"torch": "2.0", "threads": 1},
            )
        )

    def steps(self, first: int, last: int, *, loss: float = 2.0, lr_at: int | None = None) -> None:
        step = np.arange(first, last + 1)
        rates = {} if lr_at is None else {"lr_step": np.array([lr_at]), "lr": np.array([0.125])}
        metrics = StepMetrics(step, loss - step / 64, step / 128, step * 0.25, images_per_second=1000.0 + last, **rates)
        self.recorder.record(metrics)

    def evaluate(self, step: int, *, end: bool = True, loss: float = 1.5) -> None:
        metrics = {"val/loss": loss, "val/accuracy": 0.5, "lr": 0.125} if end else {"val/loss": loss}
        self.recorder.record(
            Evaluated(step, -(-step // 20), step * 0.25, metrics, epoch_end=end, answers=((1, 0.5), (2, 0.25)))
        )

    def save(self, kind: str, step: int, *, size: int = 100) -> None:
        weights = Weights({"w": torch.zeros(size, dtype=torch.uint8)}, {"epoch": -(-step // 20)})
        state = weights if kind == WEIGHTS else Checkpoint(Progress(step=step), {}, {}, {}, {}, {})
        self.recorder.record(Snapshot(kind, step, -(-step // 20), lambda: state))

    def pass_s(self, seconds: float) -> None:
        self.clock.now += seconds
        self.calls.append(f"-- {seconds:g} s later")

    def end(self, outcome: str = "finished", step: int = 40) -> Ended:
        return Ended(outcome, step, -(-step // 20), step * 0.25, {"test_accuracy": 0.75, "final_epoch": 2})

    def text(self) -> str:
        lines = "\n".join(self.calls).replace(self.run.id, "RUN").replace(str(self.lab.settings.home), "HOME")
        return re.sub(r"[0-9a-f]{64}", "DIGEST", lines)


def ordinary(recorded: RecordedRun) -> None:
    """A run of two epochs, a notice that is recorded twice, and losses that are diagnosed."""
    recorded.recorder.phase("reading data")
    recorded.recorder.describe(0.25, 0.5, DataFacts(10, largest={"train": 0.25, "test": 0.125}))
    recorded.start()
    recorded.steps(1, 5)
    recorded.pass_s(0.4)
    recorded.steps(6, 8)
    recorded.pass_s(0.1)
    recorded.steps(9, 12, lr_at=10)
    recorded.evaluate(12, end=False)
    recorded.pass_s(10)
    recorded.steps(13, 20)
    recorded.evaluate(20)
    recorded.save(WEIGHTS, 20)
    recorded.save(CHECKPOINT, 20)
    for _ in range(2):
        recorded.recorder.record(Notice("memory", "said once"))
    recorded.steps(21, 40)
    recorded.evaluate(40, loss=1.25)
    recorded.save(WEIGHTS, 40)
    recorded.save(CHECKPOINT, 40)
    recorded.recorder.finish(recorded.end(), state=RunState.FINISHED, reason="")


def diverging(recorded: RecordedRun) -> None:
    """A loss that is NaN, diagnosed at once, in a fork that fails."""
    recorded.recorder.forked(ForkState.RECOMPUTED)
    recorded.recorder.describe(0.25, 0.5, DataFacts(3))
    recorded.start()
    recorded.steps(1, 3)
    recorded.store_failures["findings.set"] = 1
    recorded.steps(4, 6, loss=float("nan"))
    recorded.steps(7, 9, loss=float("nan"))
    recorded.recorder.fail("the reason")


def resumed(recorded: RecordedRun) -> None:
    """A run that resumes from step 20 and is paused."""
    recorded.start()
    recorded.steps(1, 30)
    recorded.evaluate(20)
    recorded.save(WEIGHTS, 20)
    recorded.save(WEIGHTS, 30)
    recorded.calls.append("-- from step 20 again")
    recorded.start(20)
    recorded.pass_s(3)
    recorded.steps(21, 23)
    recorded.pass_s(1)
    recorded.recorder.finish(recorded.end("paused", 23), state=RunState.PAUSED, reason="")


def store_away(recorded: RecordedRun) -> None:
    """The store refuses points, files, findings and a notice for a while, in a run that is to be stopped."""
    recorded.start()
    recorded.lab.submissions.control(recorded.run.id, RunRequest.STOP)
    recorded.store_failures |= Counter(
        {"points.append": 3, "files.add": 2, "findings.set": 1, "leases.add_notice": 1, "leases.finish": 2}
    )
    recorded.steps(1, 20)
    recorded.pass_s(1)
    recorded.steps(21, 22, loss=9.0)
    recorded.evaluate(22)
    recorded.recorder.record(Notice("memory", "told while it was away"))
    recorded.save(WEIGHTS, 22)
    recorded.save(CHECKPOINT, 22)
    recorded.recorder.finish(recorded.end("stopped", 22), state=RunState.STOPPED, reason="asked for")


def store_away_for_long(recorded: RecordedRun) -> None:
    """The store is unreachable beyond the limit, so the run is paused at a step."""
    recorded.start()
    recorded.store_failures["points.append"] = 70
    recorded.steps(1, 20)
    recorded.pass_s(1)
    recorded.steps(21, 22)
    recorded.save(CHECKPOINT, 22)
    recorded.calls.append("-- it is to be paused")
    recorded.recorder.pause_after_outage(recorded.end("paused", 22))


def files_away(recorded: RecordedRun) -> None:
    """The saved files are unreachable for a moment, and then for longer than a run waits."""
    recorded.start()
    recorded.steps(1, 20)
    recorded.files_failures["artifacts.write"] = 2
    recorded.save(WEIGHTS, 20)
    recorded.files_failures["artifacts.write"] = 1000
    recorded.save(CHECKPOINT, 20)
    recorded.files_failures.clear()
    recorded.save(CHECKPOINT, 20)  # a later file must not be saved without the one that was given up
    assert not recorded.recorder.saved_all
    recorded.recorder.pause_after_outage(recorded.end("paused", 20))


def handed_back(recorded: RecordedRun) -> None:
    """Weights beyond the budget of a megabyte, and a run that returns to the queue."""
    recorded.start()
    for epoch in (1, 2):
        recorded.steps(20 * epoch - 19, 20 * epoch)
        recorded.evaluate(20 * epoch, loss=epoch)
        recorded.save(WEIGHTS, 20 * epoch, size=450_000)
    recorded.files_failures["artifacts.delete"] = 1
    recorded.save(WEIGHTS, 60, size=450_000)
    recorded.save(WEIGHTS, 80, size=450_000)
    recorded.recorder.hand_back(recorded.end("paused", 40))


def within_budget(recorded: RecordedRun) -> None:
    """Weights that fill the budget of a megabyte exactly, exceed it once, and fill it again after one was deleted."""
    recorded.start()
    header = 160  # bytes of the file of one tensor before its values
    for epoch, size in enumerate((500_000 - header, 500_000 - header, 500_000 - header), start=1):
        recorded.save(WEIGHTS, 20 * epoch, size=size)
    recorded.recorder.fail("that is enough")


SCRIPTS = (within_budget, ordinary, diverging, resumed, store_away, store_away_for_long, files_away, handed_back)


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.__name__ for script in SCRIPTS])
def test_the_calls_of_a_recorder_and_the_stored_run_match_the_snapshot(
    script: Callable[[RecordedRun], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedRun(tmp_path, monkeypatch)
    script(recorded)
    counted = [(line, len(list(same))) for line, same in itertools.groupby(recorded.text().split("\n"))]
    lines = [line if count == 1 else f"{line} | {count} TIMES" for line, count in counted]
    found = recorded.lab.store.runs.get(recorded.run.id)
    facts = {
        "state": found.state,
        "requested": found.requested,
        "reason": found.reason.replace(str(recorded.lab.settings.home), "HOME"),
        "seconds": found.seconds,
        "progress": found.progress.as_dict(),
        "summary": found.summary.as_dict(),
        "environment": found.environment.as_dict(),
        "notices": list(found.notices),
        "findings": [one.code for one in found.findings],
        "points": {name: len(series.step) for name, series in recorded.lab.store.points.read(found.id).items()},
    }
    check(f"worker/{script.__name__}.txt", "\n".join([*lines, "", flat(facts)]))


def test_points_are_stored_less_often_if_many_runs_are_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedRun(tmp_path, monkeypatch, pace=TrainingPace(training=1_000))
    recorded.start()
    recorded.calls.clear()
    for at in range(9):
        recorded.steps(at + 1, at + 1)
        recorded.pass_s(0.5)
    assert sum("points.append" in line for line in recorded.calls) == 2  # after two and after four seconds


def test_a_request_is_fulfilled_by_the_state_that_a_run_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for request, state in ((RunRequest.PAUSE, RunState.PAUSED), (RunRequest.STOP, RunState.STOPPED)):
        recorded = RecordedRun(tmp_path / request.value, monkeypatch)
        recorded.start()
        recorded.lab.submissions.control(recorded.run.id, request)
        recorded.recorder.finish(recorded.end("paused", 20), state=state, reason="")
        found = recorded.lab.store.runs.get(recorded.run.id)
        assert (found.state, found.requested) == (state, RunRequest.RUN)


PAUSED_BY = {"outcome": "paused"}
# By name of the case: how training ends (its last event or the error that it raises), and the fields of the heartbeat.
ENDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "finished": ({"outcome": "finished"}, {}),
    "stopped early": ({"outcome": "early-stopped"}, {}),
    "finished without its files": ({"outcome": "finished", "saved_all": False}, {}),
    "stopped": ({"outcome": "stopped"}, {"requested": RunRequest.STOP}),
    "stopped though its files are away": ({"outcome": "stopped", "saved_all": False}, {"requested": RunRequest.STOP}),
    "paused": (PAUSED_BY, {"requested": RunRequest.PAUSE}),
    "a rung of its sweep": ({**PAUSED_BY, "planned": True}, {}),
    "a rung, and the worker is to end": ({**PAUSED_BY, "planned": True}, {"ending": True}),
    "beyond its budget": (PAUSED_BY, {"over_budget": True}),
    "beyond its budget, and the worker is to end": (PAUSED_BY, {"over_budget": True, "ending": True}),
    "beyond its budget, and to pause": (PAUSED_BY, {"over_budget": True, "requested": RunRequest.PAUSE}),
    "sent away": (PAUSED_BY, {"sent_away": True}),
    "sent away, and to pause": (PAUSED_BY, {"sent_away": True, "requested": RunRequest.PAUSE}),
    "a machine that joined is to end": (PAUSED_BY, {"joined": True, "ending": True}),
    "a machine that joined": (PAUSED_BY, {"joined": True}),
    "the worker is to end": (PAUSED_BY, {"ending": True}),
    "the worker is to end, and to pause": (PAUSED_BY, {"ending": True, "requested": RunRequest.PAUSE}),
    "the worker is to end, and to stop": ({"outcome": "stopped"}, {"ending": True, "requested": RunRequest.STOP}),
    "the store was away": (PAUSED_BY, {"timed_out": True}),
    "the store was away, and the worker is to end": (PAUSED_BY, {"timed_out": True, "ending": True}),
    "the store is away": ({"raises": StoreBusyError("the store is away")}, {}),
    "the files are away": ({"raises": ArtifactsUnreachableError("the files are away")}, {}),
    "the store is away, and the worker is to end": ({"raises": StoreBusyError("the store is away")}, {"ending": True}),
    "an error": ({"raises": DataError("The data are damaged.")}, {}),
}


def test_the_state_and_reason_of_a_run_match_the_snapshot_for_every_end_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, lines = open_lab(tmp_path), []
    for at, (name, (how, beat)) in enumerate(ENDS.items()):
        queued = lab.submissions.submit(lab.validation.resolve(CONFIG.replace(seed=at))).run
        run = lab.store.leases.claim(slot=f"slot {at}", owner=Owner.of_this_process(), run=queued.id)
        assert run is not None
        ending = threading.Event()
        recorder = RunRecorder(lab.store, lab.artifacts, run)
        heartbeat = Heartbeat(lab, run, ending)
        for field, value in beat.items():
            if field == "ending":
                ending.set()
            else:
                setattr(heartbeat, field, value)
        if heartbeat.requested is not RunRequest.RUN:
            lab.submissions.control(run.id, heartbeat.requested)
        recorder.saved_all = how.get("saved_all", True)
        ended = Ended(how.get("outcome", ""), 30, 2, 7.5, {"final_epoch": 2}, planned=how.get("planned", False))

        def train(*_: object, ended: Ended = ended, how: dict[str, Any] = how) -> Ended:
            if "raises" in how:
                raise how["raises"]
            return ended

        monkeypatch.setattr(execution, "_train", train)
        try:
            execution._train_and_finish(lab, run, recorder, heartbeat)
            raised = ""
        except LabError as error:
            raised = f" raised {type(error).__name__}"
        found = lab.store.runs.get(run.id)
        step = f"step {found.summary.step}, {found.summary.outcome}" if found.summary.outcome else "no result"
        lines.append(
            f"{name}: {found.state.value}, {found.requested.value}, {step}, {found.seconds:g} s{raised} | {found.reason}"
        )
        if found.state is RunState.QUEUED:  # so that it is not claimed next
            lab.submissions.control(run.id, RunRequest.STOP)
    check("worker/ends.txt", "\n".join(lines).replace(str(tmp_path), "HOME"))
