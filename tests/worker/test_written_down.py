"""Everything that a worker asks of the store and the saved files' place, in its order, on a clock that only the script moves."""

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


class Overheard:
    """A store, or a part of it, whose calls are written down before they are made. away: how many calls of a name fail."""

    def __init__(
        self, real: Any, said: list[str], away: Counter[str], error: Callable[[], Exception], name: str = ""
    ) -> None:
        self._real, self._said, self._away, self._error, self._name = real, said, away, error, name

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._real, name)
        place = f"{self._name}.{name}".lstrip(".")
        if not callable(part):
            return part if isinstance(part, str | Path) else Overheard(part, self._said, self._away, self._error, place)

        def call(*arguments: Any, **named: Any) -> Any:
            parts = [part_ for each in arguments for part_ in _words(each)]
            parts += [f"{key}: {'; '.join(_words(value))}" for key, value in named.items()]
            assert len(self._said) < _MAX_CALLS, "it asks again and again without waiting"
            away = self._away[place] > 0
            self._said.append(f"{place} | {' | '.join(parts)}{' | IS AWAY' if away else ''}")
            if away:
                self._away[place] -= 1
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
    return f"{name}: {len(series.step)} points, steps {step}, values {value}, seconds {time_s}, sum {series.value.sum():.7g}"


class Life:
    """A recorder of a claimed run, with all that it asks for in `said`."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, *, pace: TrainingPace | None = None) -> None:
        self.lab, self.clock = open_lab(home), Passing()
        self.said: list[str] = []
        self.store_away: Counter[str] = Counter()
        self.files_away: Counter[str] = Counter()
        for place in (module, run_files):
            monkeypatch.setattr(place, "time", self.clock)
        monkeypatch.setattr("lab.runs.outage.time", self.clock)
        for place in (module, run_files):
            monkeypatch.setattr(place, "log_worker", lambda text: self.said.append(f"    log: {text}"))
        monkeypatch.setattr(Passing, "time", lambda self: NOW, raising=False)
        self.lab.submissions.submit(self.lab.validation.resolve(CONFIG))
        self.run = claim(self.lab)
        store = Overheard(self.lab.store, self.said, self.store_away, lambda: StoreBusyError("the store is away"))
        files = Overheard(
            self.lab.artifacts,
            self.said,
            self.files_away,
            lambda: ArtifactsUnreachableError("the files are away"),
            "artifacts",
        )
        outage = Outage(limit_s=30.0, ending=self.clock, say=lambda text: self.said.append(f"    {text}"))
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
        self.said.append(f"-- {seconds:g} s later")

    def end(self, outcome: str = "finished", step: int = 40) -> Ended:
        return Ended(outcome, step, -(-step // 20), step * 0.25, {"test_accuracy": 0.75, "final_epoch": 2})

    def text(self) -> str:
        lines = "\n".join(self.said).replace(self.run.id, "RUN").replace(str(self.lab.settings.home), "HOME")
        return re.sub(r"[0-9a-f]{64}", "DIGEST", lines)


def ordinary(life: Life) -> None:
    """A run of two epochs, a notice that is said twice, and loss values that are judged."""
    life.recorder.phase("reading data")
    life.recorder.describe(0.25, 0.5, DataFacts(10, largest={"train": 0.25, "test": 0.125}))
    life.start()
    life.steps(1, 5)
    life.pass_s(0.4)
    life.steps(6, 8)
    life.pass_s(0.1)
    life.steps(9, 12, lr_at=10)
    life.evaluate(12, end=False)
    life.pass_s(10)
    life.steps(13, 20)
    life.evaluate(20)
    life.save(WEIGHTS, 20)
    life.save(CHECKPOINT, 20)
    for _ in range(2):
        life.recorder.record(Notice("memory", "said once"))
    life.steps(21, 40)
    life.evaluate(40, loss=1.25)
    life.save(WEIGHTS, 40)
    life.save(CHECKPOINT, 40)
    life.recorder.finish(life.end(), state=RunState.FINISHED, reason="")


def diverging(life: Life) -> None:
    """A loss that is no number, judged at once, in a fork that fails."""
    life.recorder.forked(ForkState.RECOMPUTED)
    life.recorder.describe(0.25, 0.5, DataFacts(3))
    life.start()
    life.steps(1, 3)
    life.store_away["findings.set"] = 1
    life.steps(4, 6, loss=float("nan"))
    life.steps(7, 9, loss=float("nan"))
    life.recorder.fail("the reason")


def resumed(life: Life) -> None:
    """A run that goes back to step 20 and is paused."""
    life.start()
    life.steps(1, 30)
    life.evaluate(20)
    life.save(WEIGHTS, 20)
    life.save(WEIGHTS, 30)
    life.said.append("-- from step 20 again")
    life.start(20)
    life.pass_s(3)
    life.steps(21, 23)
    life.pass_s(1)
    life.recorder.finish(life.end("paused", 23), state=RunState.PAUSED, reason="")


def store_away(life: Life) -> None:
    """The store refuses points, a list of files, findings and a notice, each for a while, of a run that is to be stopped."""
    life.start()
    life.lab.submissions.control(life.run.id, RunRequest.STOP)
    life.store_away |= Counter(
        {"points.append": 3, "files.add": 2, "findings.set": 1, "leases.add_notice": 1, "leases.finish": 2}
    )
    life.steps(1, 20)
    life.pass_s(1)
    life.steps(21, 22, loss=9.0)
    life.evaluate(22)
    life.recorder.record(Notice("memory", "told while it was away"))
    life.save(WEIGHTS, 22)
    life.save(CHECKPOINT, 22)
    life.recorder.finish(life.end("stopped", 22), state=RunState.STOPPED, reason="asked for")


def store_away_for_long(life: Life) -> None:
    """The store is away beyond the limit, so that the run is paused at a step."""
    life.start()
    life.store_away["points.append"] = 70
    life.steps(1, 20)
    life.pass_s(1)
    life.steps(21, 22)
    life.save(CHECKPOINT, 22)
    life.said.append("-- it is to be paused")
    life.recorder.pause_after_outage(life.end("paused", 22))


def files_away(life: Life) -> None:
    """The place of the saved files is away for a moment, and then for longer than a run waits."""
    life.start()
    life.steps(1, 20)
    life.files_away["artifacts.write"] = 2
    life.save(WEIGHTS, 20)
    life.files_away["artifacts.write"] = 1000
    life.save(CHECKPOINT, 20)
    life.files_away.clear()
    life.save(CHECKPOINT, 20)  # a later file would leave out the one that was given up
    assert not life.recorder.saved_all
    life.recorder.pause_after_outage(life.end("paused", 20))


def handed_back(life: Life) -> None:
    """Weights beyond the budget of a megabyte, and a run that goes back into the queue."""
    life.start()
    for epoch in (1, 2):
        life.steps(20 * epoch - 19, 20 * epoch)
        life.evaluate(20 * epoch, loss=epoch)
        life.save(WEIGHTS, 20 * epoch, size=450_000)
    life.files_away["artifacts.delete"] = 1
    life.save(WEIGHTS, 60, size=450_000)
    life.save(WEIGHTS, 80, size=450_000)
    life.recorder.hand_back(life.end("paused", 40))


def within_budget(life: Life) -> None:
    """Weights that fill the budget of a megabyte to the byte, beyond it once, and exactly again after one was deleted."""
    life.start()
    header = 160  # bytes of the file of one tensor before its values
    for epoch, size in enumerate((500_000 - header, 500_000 - header, 500_000 - header), start=1):
        life.save(WEIGHTS, 20 * epoch, size=size)
    life.recorder.fail("that is enough")


LIVES = (within_budget, ordinary, diverging, resumed, store_away, store_away_for_long, files_away, handed_back)


@pytest.mark.parametrize("script", LIVES, ids=[script.__name__ for script in LIVES])
def test_what_a_recorder_writes_down(
    script: Callable[[Life], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Life(tmp_path, monkeypatch)
    script(life)
    counted = [(line, len(list(same))) for line, same in itertools.groupby(life.text().split("\n"))]
    lines = [line if count == 1 else f"{line} | {count} TIMES" for line, count in counted]
    found = life.lab.store.runs.get(life.run.id)
    facts = {
        "state": found.state,
        "requested": found.requested,
        "reason": found.reason.replace(str(life.lab.settings.home), "HOME"),
        "seconds": found.seconds,
        "progress": found.progress.as_dict(),
        "summary": found.summary.as_dict(),
        "environment": found.environment.as_dict(),
        "notices": list(found.notices),
        "findings": [one.code for one in found.findings],
        "points": {name: len(series.step) for name, series in life.lab.store.points.read(found.id).items()},
    }
    check(f"worker/{script.__name__}.txt", "\n".join([*lines, "", flat(facts)]))


def test_many_trainings_write_more_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(tmp_path, monkeypatch, pace=TrainingPace(training=1_000))
    life.start()
    life.said.clear()
    for at in range(9):
        life.steps(at + 1, at + 1)
        life.pass_s(0.5)
    assert sum("points.append" in line for line in life.said) == 2  # at two and at four seconds


def test_a_request_is_fulfilled_by_the_state_that_a_run_ends_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for request, state in ((RunRequest.PAUSE, RunState.PAUSED), (RunRequest.STOP, RunState.STOPPED)):
        life = Life(tmp_path / request.value, monkeypatch)
        life.start()
        life.lab.submissions.control(life.run.id, request)
        life.recorder.finish(life.end("paused", 20), state=state, reason="")
        found = life.lab.store.runs.get(life.run.id)
        assert (found.state, found.requested) == (state, RunRequest.RUN)


PAUSED_BY = {"outcome": "paused"}
# How a training ends, what was asked for meanwhile, and what is stored of it: (its last event or what it raised, the heartbeat).
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


def test_what_becomes_of_a_run_however_its_training_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        if found.state is RunState.QUEUED:  # not to be taken next
            lab.submissions.control(run.id, RunRequest.STOP)
    check("worker/ends.txt", "\n".join(lines).replace(str(tmp_path), "HOME"))
