"""What a worker does with one run: where it starts, which requests it handles, and how it ends."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import null

from lab.devices import resolve_device
from lab.errors import StoreBusyError, StoreError
from lab.runs import outage
from lab.runs.leases import Leases
from lab.runs.owner import Owner
from lab.runs.points import Points
from lab.runs.records import RunRecord, RunRequest, RunState, Series
from lab.service.lab import Lab
from lab.training.events import Command
from lab.worker import execution, heartbeat, loop
from lab.worker.disk_reserve import release_reserve
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from lab.worker.loop import work
from tests.runs.runs_data import write_past_checks
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import SMALL, Passing, claim, open_lab, train, train_queued


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return open_lab(tmp_path)


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [file.sha256 for file in lab.weights.list(run.id)]


def _interrupt(lab: Lab) -> RunRecord:
    """Make a worker claim the queued run and exit at once, with a checkpoint."""
    ending = threading.Event()
    ending.set()
    run = claim(lab)
    execute(lab, run, ending=ending)
    return lab.store.runs.get(run.id)


def _remove(lab: Lab, run: RunRecord) -> None:
    lab.store.removal.delete(run.id)
    lab.store.removal.purge(lab.artifacts.delete, older_than_s=0)


@pytest.mark.parametrize("purged", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_longer_run_outlives_the_shorter_one_it_continues(lab: Lab, purged: bool) -> None:
    shorter = train(lab)
    times = lab.store.points.read(shorter.id)["batch/loss"].time_s.tolist()
    longer = lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=2))).run
    assert longer.parent == shorter.id
    if purged:
        _remove(lab, shorter)
    else:
        lab.store.removal.delete(shorter.id)
    done = train_queued(lab)
    assert (done.id, done.state, done.reason) == (longer.id, RunState.FINISHED, "")
    assert lab.store.points.read(done.id)["val/loss"].step.tolist() == [0, 2, 4]
    # If the shorter run is only deleted, its steps are not trained again: the first points are its own.
    assert (lab.store.points.read(done.id)["batch/loss"].time_s[:2].tolist() == times) is not purged
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=2)), fresh=True)
    assert _weights(lab, done) == _weights(lab, train_queued(lab))


@pytest.mark.long
def test_a_fine_tuned_run_is_resumed_without_its_parent(lab: Lab) -> None:
    parent = train(lab)
    tuned = SMALL.replace(init_from=parent.id, lr=1e-4)
    whole = train(lab, tuned)
    lab.submissions.submit(lab.validation.resolve(tuned), fresh=True)
    cut = _interrupt(lab)
    assert cut.state is RunState.INTERRUPTED
    _remove(lab, parent)
    lab.submissions.control(cut.id, RunRequest.RUN)
    resumed = train_queued(lab)
    assert (resumed.state, resumed.reason) == (RunState.FINISHED, "")
    assert _weights(lab, resumed) == _weights(lab, whole)


def test_a_request_is_read_although_the_disk_is_too_full_to_renew_the_lease(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.1)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run = claim(lab)
    with lab.store.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE UPDATE OF lease_until ON runs "
            "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with Heartbeat(lab, run, threading.Event()) as beat:
        wait_until(lambda: "full" in beat._last_error)
        assert beat.command() is Command.RUN
        lab.submissions.control(run.id, RunRequest.STOP)
        wait_until(lambda: beat.command() is Command.STOP)
        assert not beat.lost


class _SlowToFinish(Leases):
    """Stores the result of a run only after its lease was renewed meanwhile."""

    renewed = 0

    def heartbeat(self, run: str, lease: int) -> RunRequest:
        self.renewed += 1
        return super().heartbeat(run, lease)

    def finish(self, run: str, lease: int, **result: Any) -> RunRecord:
        before = self.renewed
        wait_until(lambda: self.renewed > before)
        return super().finish(run, lease, **result)


def test_the_lease_is_renewed_while_the_result_of_a_run_is_stored(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "REQUEST_POLL_S", 0.01)
    monkeypatch.setattr(heartbeat, "RENEW_S", 0.05)
    leases = _SlowToFinish(lab.store.context)
    monkeypatch.setattr(lab.store, "leases", leases)
    assert train(lab).state is RunState.FINISHED


class _Phases(Leases):
    """Records the phases that a run reports."""

    seen: list[str]

    def set_progress(self, run: str, lease: int, progress: Mapping[str, Any]) -> RunRequest:
        self.seen.append(progress["phase"])
        return super().set_progress(run, lease, progress)


def test_a_run_reports_its_phases_before_its_first_step(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = _Phases(lab.store.context)
    leases.seen = []
    monkeypatch.setattr(lab.store, "leases", leases)
    train(lab)
    assert leases.seen == ["reading data", "building the network", "training"]


def test_a_run_that_stopped_early_has_finished(lab: Lab) -> None:
    done = train(lab, SMALL.replace(epochs=9, val_fraction=0.25, patience=1, min_delta=100.0))
    assert (done.state, done.summary.outcome, done.summary.epoch) == (RunState.FINISHED, "early-stopped", 2)


def test_a_run_records_the_size_and_statistics_of_its_training_data(lab: Lab) -> None:
    done = train(lab, SMALL.replace(val_fraction=0.25))
    environment = done.environment
    assert (environment.train_images, environment.val_images) == (48, 16)
    assert environment.normalization is not None
    mean, deviation = environment.normalization
    assert 0.0 < mean < 1.0
    assert 0.0 < deviation < 1.0
    for split, images in (("train", 48), ("val", 16), ("test", environment.test_images or 0)):
        count = environment.other[f"{split}_largest_class"] * images
        assert count == pytest.approx(round(count), abs=1e-6)
        assert count >= images / 10


class _After(threading.Event):
    """An event that is set after `checks` calls of `is_set`."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self._left = checks

    def is_set(self) -> bool:
        self._left -= 1
        return self._left < 0


class _Steps(Points):
    """Records the steps that are stored."""

    seen: list[int]

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        self.seen += points["batch/loss"].step.tolist() if "batch/loss" in points else []
        return super().append(run, lease, points, progress=progress)


@pytest.mark.long
def test_a_longer_run_that_is_resumed_continues_from_its_own_checkpoint(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not from that of the shorter run, from which it started."""
    train(lab)
    run = lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=9))).run
    execute(lab, claim(lab), ending=_After(8))
    cut = lab.store.runs.get(run.id)
    assert (cut.state, cut.parent == "") == (RunState.INTERRUPTED, False)
    assert 2 < (cut.summary.step or 0) < 18
    points = _Steps(lab.store.context)
    points.seen = []
    monkeypatch.setattr(lab.store, "points", points)
    lab.submissions.control(run.id, RunRequest.RUN)
    assert train_queued(lab).state is RunState.FINISHED
    assert points.seen == list(range((cut.summary.step or 0) + 1, 19))


def test_a_device_named_in_two_ways_is_one_device(tmp_path: Path) -> None:
    """A worker on "auto" and one on "cpu" never train at the same time if "auto" is the CPU."""
    lab = open_lab(tmp_path, LAB_DEVICE="auto")
    first = lab.submissions.submit(lab.validation.resolve(SMALL.replace(device="auto"))).run.id
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=1)))
    seen: list[RunRecord | None] = []

    class Watched(Leases):
        def set_progress(self, run: str, lease: int, progress: Mapping[str, Any]) -> RunRequest:
            if run == first and not seen:
                seen.append(self.claim(slot=str(resolve_device("auto")), owner=Owner.of_this_process()))
            return super().set_progress(run, lease, progress)

    lab.store.leases = Watched(lab.store.context)
    work(lab, ending=threading.Event(), idle_s=0.2)
    assert seen == [None]
    assert lab.store.runs.count(where="state:finished") == 2


def test_an_idle_worker_exits_when_asked_to_end(lab: Lab) -> None:
    ending = threading.Event()
    worker = threading.Thread(target=work, args=(lab,), kwargs={"ending": ending, "idle_s": 600.0}, daemon=True)
    worker.start()
    ending.set()
    worker.join(LIMIT_S)
    assert not worker.is_alive()


def test_a_worker_holds_disk_space_in_reserve_until_it_is_released(lab: Lab) -> None:
    work(lab, ending=threading.Event(), idle_s=0.0)
    assert [path.stat().st_size for path in lab.settings.home.glob("ballast")] == [1_000_000]
    release_reserve(lab.settings.home)
    release_reserve(lab.settings.home)
    assert not list(lab.settings.home.glob("ballast"))


def test_an_idle_worker_diagnoses_runs_without_findings(lab: Lab) -> None:
    run = train(lab, SMALL.replace(lr=1.0, epochs=3))
    write_past_checks(lab.store, run.id, findings=null())
    assert lab.store.findings.list_without_findings(limit=5) != []
    work(lab, ending=threading.Event(), idle_s=0.2)
    assert lab.store.findings.list_without_findings(limit=5) == []
    assert lab.store.runs.get(run.id).findings == run.findings


class _Refuses(Leases):
    """Refuses the first six reports of progress."""

    refused = 0

    def set_progress(self, run: str, lease: int, progress: Mapping[str, Any]) -> RunRequest:
        self.refused += 1
        if self.refused < 7:
            raise StoreBusyError("The run store was held by another process.")
        return super().set_progress(run, lease, progress)


def test_a_store_that_is_unreachable_for_longer_than_a_run_may_wait_pauses_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.store, "leases", _Refuses(lab.store.context))
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run
    work(lab, ending=threading.Event(), idle_s=0.2, wait_s=0.1)
    record = lab.store.runs.get(run.id)
    assert (record.state, record.reason.startswith("The run store was unreachable")) == (RunState.PAUSED, True)
    assert record.reason.endswith("so training paused: resume continues from its last checkpoint.")


class _RefusesUntilThePause(Points):
    """Refuses points until training was asked to pause because of that."""

    beats: list[Heartbeat]

    def append(
        self, run: str, lease: int, points: Mapping[str, Series], *, progress: Mapping[str, Any] | None = None
    ) -> RunRequest:
        if not self.beats[0].timed_out:
            raise StoreBusyError("The run store was held by another process.")
        return super().append(run, lease, points, progress=progress)


def test_a_run_whose_store_becomes_unreachable_pauses_at_a_step_with_that_reason(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = _RefusesUntilThePause(lab.store.context)
    points.beats = []

    class Watched(Heartbeat):
        def __enter__(self) -> Heartbeat:
            points.beats.append(self)
            return super().__enter__()

    monkeypatch.setattr(execution, "Heartbeat", Watched)
    monkeypatch.setattr(lab.store, "points", points)
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=200, keep_mb=1)))
    run = claim(lab)
    execute(lab, run, ending=threading.Event(), wait_s=0.05)
    record = lab.store.runs.get(run.id)
    assert (record.state, record.summary.outcome) == (RunState.PAUSED, "paused")
    assert record.reason.startswith("The run store was unreachable for ")
    assert f"training paused at step {record.summary.step:,}: resume continues from there" in record.reason
    assert lab.store.points.read(run.id)["batch/loss"].step[-1] == record.summary.step


class _LosesAResponse(Leases):
    """Claims a run and loses the connection before the response."""

    lost = False

    def claim(self, **asked: Any) -> RunRecord | None:
        run = super().claim(**asked)
        if not self.lost:
            self.lost = True
            raise StoreBusyError("The connection was lost.")
        return run


def test_a_run_whose_claim_got_no_response_is_trained_nevertheless(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run.id
    monkeypatch.setattr(lab.store, "leases", _LosesAResponse(lab.store.context))
    monkeypatch.setattr(loop, "time", clock := Passing())
    work(lab, ending=clock, idle_s=1.0)
    done = lab.store.runs.get(run)
    assert (done.state, done.attempts) == (RunState.FINISHED, 1)


class _BusyTwice(Leases):
    """Refuses the first and the third claim."""

    claims = 0

    def claim(self, **asked: Any) -> RunRecord | None:
        self.claims += 1
        if self.claims in (1, 3):
            raise StoreBusyError(f"The store is busy at claim {self.claims}.")
        return super().claim(**asked)


def test_an_idle_worker_logs_every_outage(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = Passing()
    for module in (loop, outage):
        monkeypatch.setattr(module, "time", clock)
    leases = _BusyTwice(lab.store.context)
    monkeypatch.setattr(lab.store, "leases", leases)
    work(lab, ending=clock, idle_s=5.0)
    assert leases.claims > 3
    logged = [line.partition(": ")[2] for line in capfd.readouterr().err.splitlines() if " worker " in line]
    again = "the store answers again after 0 s"
    assert logged == ["The store is busy at claim 1.", again, "The store is busy at claim 3.", again]


def test_an_idle_worker_stays_for_five_minutes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "POLL_S", 10.0)
    ending = Passing()
    monkeypatch.setattr(loop, "time", ending)
    work(lab, ending=ending)
    assert ending.now == 1_300.0


def test_training_data_is_read_from_the_folder_in_the_settings(tmp_path: Path) -> None:
    lab = open_lab(tmp_path / "home", LAB_DATA=str(tmp_path / "pictures"))
    lab.store.queue.submit(SMALL.replace(dataset="mnist"), fingerprint="f" * 64, family="f" * 64)
    failed = train_queued(lab)
    assert (failed.state, str(tmp_path / "pictures" / "MNIST") in failed.reason) == (RunState.FAILED, True)


def test_a_failed_run_is_logged_with_its_reason(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lab = open_lab(tmp_path)
    lab.store.queue.submit(SMALL.replace(dataset="mnist"), fingerprint="f" * 64, family="f" * 64)
    failed = train_queued(lab)
    assert f"run {failed.id} failed: {failed.reason}" in capfd.readouterr().err


def test_a_row_damaged_during_training_is_logged_and_does_not_end_the_worker(
    lab: Lab, capfd: pytest.CaptureFixture[str]
) -> None:
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run.id
    held = claim(lab)
    with lab.store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET note = 'a bit fell over'")
    execute(lab, held, ending=threading.Event())
    assert f"run {run}: Run {run} is damaged in the database" in capfd.readouterr().err


class _FullDisk(Leases):
    """Cannot store the result of a run as long as the disk reserve is held."""

    reserve: Path

    def finish(self, run: str, lease: int, **result: Any) -> RunRecord:
        if self.reserve.exists():
            raise StoreError("The disk of the run store is full.")
        return super().finish(run, lease, **result)


def test_on_a_full_disk_the_reserve_is_freed_to_store_why_a_run_failed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = _FullDisk(lab.store.context)
    leases.reserve = lab.settings.home / "ballast"
    monkeypatch.setattr(lab.store, "leases", leases)
    run, _ = lab.store.queue.submit(SMALL.replace(dataset="mnist"), fingerprint="f" * 64, family="f" * 64)
    work(lab, ending=threading.Event(), idle_s=0.2)
    record = lab.store.runs.get(run.id)
    assert (record.state, "not downloaded" in record.reason) == (RunState.FAILED, True)
    assert not leases.reserve.exists()
