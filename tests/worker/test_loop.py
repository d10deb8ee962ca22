"""How the worker's loop handles requests, devices, seeds and histories, each with a known answer."""

import os
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from lab.errors import StoreBusyError
from lab.runs.outage import Outage
from lab.runs.records import WEIGHTS, RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from lab.training.events import Command
from lab.worker import loop
from lab.worker.disk_reserve import RESERVE_BYTES, release_reserve, reserve_path
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from lab.worker.loop import keep_supervised, work
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import SMALL, Passing, Pauses, between_steps, claim, open_lab, train, train_queued


def test_a_stop_takes_precedence_over_a_pause_and_the_end_of_the_worker_is_a_pause(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    ending = threading.Event()
    beat = Heartbeat(lab, claim(lab), ending)
    assert beat.command() is Command.RUN
    beat.requested = RunRequest.PAUSE
    assert beat.command() is Command.PAUSE
    beat.requested = RunRequest.STOP
    ending.set()
    assert beat.command() is Command.STOP
    beat.requested = RunRequest.RUN
    assert beat.command() is Command.PAUSE
    beat.lost = True  # another worker has the run now: this one may write nothing more
    assert beat.command() is Command.STOP


def test_a_store_that_is_unreachable_for_too_long_pauses_the_run_as_timed_out(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    outage = Outage(limit_s=0.0)
    beat = Heartbeat(lab, claim(lab), threading.Event(), outage)
    outage.refused(StoreBusyError("the store is busy"))
    time.sleep(0.01)
    assert (beat.command(), beat.timed_out) == (Command.PAUSE, True)
    outage.answered()
    assert beat.command() is Command.RUN


def test_a_run_whose_worker_is_asked_to_end_is_interrupted_with_that_reason(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run, ending = claim(lab), threading.Event()
    ending.set()
    execute(lab, run, ending=ending)
    record = lab.store.runs.get(run.id)
    assert (record.state, "asked to end" in record.reason) == (RunState.INTERRUPTED, True)


def test_a_run_is_paused_if_a_pause_is_requested_while_its_worker_is_asked_to_end(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run, ending = claim(lab), threading.Event()
    lab.submissions.control(run.id, RunRequest.PAUSE)
    ending.set()
    execute(lab, run, ending=ending)
    record = lab.store.runs.get(run.id)
    assert (record.state, record.reason) == (RunState.PAUSED, "")


def _first_loss(lab: Lab, run: str) -> float:
    return float(lab.store.points.read(run)["batch/loss"].value[0])


def test_the_initial_weights_come_from_the_seed(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    first = train(lab)
    lab.submissions.submit(lab.validation.resolve(SMALL), fresh=True)
    again = train_queued(lab)
    other = train(lab, SMALL.replace(seed=1))
    assert first.id != again.id
    assert _first_loss(lab, first.id) == _first_loss(lab, again.id) != _first_loss(lab, other.id)


def test_the_device_of_a_run_takes_precedence_over_the_labs(tmp_path: Path) -> None:
    lab, elsewhere = open_lab(tmp_path), open_lab(tmp_path, LAB_DEVICE="cuda:77")
    lab.submissions.submit(lab.validation.resolve(SMALL))
    assert train_queued(elsewhere).state is RunState.FINISHED
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(device="auto", seed=1)))
    failed = train_queued(elsewhere)
    assert (failed.state, "cuda:77" in failed.reason) == (RunState.FAILED, True)


def test_a_run_takes_no_history_from_a_parent_of_another_family(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    parent = train(lab)
    lab.store.queue.submit(SMALL.replace(epochs=2), fingerprint="f" * 64, family="another", parent=parent.id)
    run = train_queued(lab)
    assert run.state is RunState.FINISHED
    weights = lab.store.files.list(run.id, kind=WEIGHTS)
    assert [file.epoch for file in weights] == [1, 2]
    assert all(file.path.startswith(run.id) for file in weights)  # none belongs to the parent


def test_a_worker_keeps_waiting_after_a_run_that_was_longer_than_its_idle_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, clock = open_lab(tmp_path), Passing()
    runs = [lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=seed))).run.id for seed in (0, 1)]

    def take_long(_beat: Heartbeat) -> None:
        clock.now += 1_000.0
        lab.store.leases.request(runs[1], RunRequest.PAUSE)

    between_steps(monkeypatch, take_long, when=lambda run: run.id == runs[0])
    monkeypatch.setattr(loop, "time", clock)
    waited = clock.wait

    def queue_and_wait(timeout: float | None = None) -> bool:
        """Nothing is queued when the first run ends; the second run is queued while the worker waits."""
        if lab.store.runs.get(runs[1]).state is RunState.PAUSED:
            lab.store.leases.request(runs[1], RunRequest.RUN)
        return waited(timeout)

    monkeypatch.setattr(clock, "wait", queue_and_wait)
    work(lab, ending=clock, idle_s=1.0)
    assert [lab.store.runs.get(run).state for run in runs] == [RunState.FINISHED] * 2


def test_a_worker_suspended_for_longer_than_its_idle_time_polls_once_more_before_it_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that was asleep: otherwise a run queued meanwhile would wait until torch is imported again."""
    lab, clock = open_lab(tmp_path), Passing()
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run.id
    monkeypatch.setattr(loop, "time", clock)
    monkeypatch.setattr(loop, "hold_reserve", lambda _home: setattr(clock, "now", clock.now + 1_000.0))
    work(lab, ending=clock, idle_s=1.0)
    assert lab.store.runs.get(run).state is RunState.FINISHED


def test_a_supervisor_that_keeps_exiting_is_restarted_with_growing_delays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pauses = Pauses(8)
    keep_supervised(Settings.from_env({"LAB_HOME": str(tmp_path)}), pauses)
    assert pauses.taken == [2, 4, 8, 16, 32, 60, 60, 60]


def test_an_error_of_the_store_is_logged_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lab = open_lab(tmp_path)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run = claim(lab)
    with closing(sqlite3.connect(os.fspath(tmp_path / "lab.db"))) as database, database:
        database.execute("ALTER TABLE runs RENAME TO missing")
    pauses = Pauses(6)
    Heartbeat(lab, run, threading.Event(), _done=pauses)._beat()
    assert len(pauses.taken) == 6
    lines = [line for line in capfd.readouterr().err.splitlines() if " worker " in line]
    assert len(lines) == 1


def test_a_worker_holds_its_disk_reserve_again_before_the_next_run(tmp_path: Path) -> None:
    lab, ending = open_lab(tmp_path), threading.Event()
    worker = threading.Thread(target=work, args=(lab,), kwargs={"ending": ending, "idle_s": 600.0}, daemon=True)
    worker.start()
    try:
        wait_until(lambda: reserve_path(lab.settings.home).exists())
        release_reserve(lab.settings.home)  # as after a failure that could not be stored on a full disk
        run = lab.submissions.submit(lab.validation.resolve(SMALL.replace(epochs=1))).run.id
        wait_until(lambda: lab.store.runs.get(run).state is RunState.FINISHED)
    finally:
        ending.set()
        worker.join(LIMIT_S)
    assert reserve_path(lab.settings.home).stat().st_size == RESERVE_BYTES
