"""Outages of the store: a run waits, a long outage pauses it, and nothing acknowledged is lost.

The Postgres server is real; it is killed and started again while runs are in training.
"""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine

from lab.config import RunConfig
from lab.errors import StoreUnreachableError
from lab.runs.owner import Owner
from lab.runs.records import CHECKPOINT, RunRecord, RunRequest, RunState
from lab.runs.row_changes import change_row, sound_row
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.worker.execution import execute
from lab.worker.heartbeat import Heartbeat
from lab.worker.loop import work
from lab.worker.single import train_one
from lab.worker.supervisor import process
from lab.worker.supervisor.launch import is_running
from tests.postgres import PostgresServer, started_server
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import SMALL, between_steps, claim, open_lab, train_queued

pytestmark = pytest.mark.long

LONG = RunConfig(arch="lenet5", dataset="digits", epochs=3, batch_size=16, device="cpu", keep_mb=100)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with started_server() as running:
        yield running


@pytest.fixture
def lab(server: PostgresServer, tmp_path: Path) -> Iterator[Lab]:
    """A lab on an empty database of the server."""
    if not server.running:
        server.start()
    lab = open_lab(tmp_path, LAB_DATABASE=server.new_database())
    yield lab
    lab.store.close()


@dataclass
class _Training:
    """A run in training in a thread. beat: its heartbeat. acknowledged: the steps stored before the outage."""

    thread: threading.Thread
    beat: Heartbeat
    acknowledged: list[int]

    def wait(self) -> None:
        """Wait until the training has ended."""
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


def _train(monkeypatch: pytest.MonkeyPatch, lab: Lab, act: Callable[[], object], *, wait_s: float) -> _Training:
    """Train a new run in a thread, call `act` between two steps once 40 are stored, and return the training then."""
    lab.submissions.submit(lab.validation.resolve(LONG))
    run = claim(lab)
    at: list[tuple[Heartbeat, list[int]]] = []

    def note_and_act(beat: Heartbeat) -> None:
        acknowledged = _steps(lab, run)
        act()
        at.append((beat, acknowledged))

    between_steps(monkeypatch, note_and_act, when=lambda run: (run.progress.step or 0) > 40)
    training = threading.Thread(
        target=execute, args=(lab, run), kwargs={"ending": threading.Event(), "wait_s": wait_s}, daemon=True
    )
    training.start()
    wait_until(lambda: bool(at))
    return _Training(training, *at[0])


def _steps(lab: Lab, run: RunRecord) -> list[int]:
    steps: list[int] = lab.store.points.read(run.id)["batch/loss"].step.tolist()
    return steps


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [file.sha256 for file in lab.weights.list(run.id)]


def _refuse_writes(lab: Lab, *, refuse: bool) -> None:
    """Make the database refuse writes, as a standby does after a failover, or accept them again."""
    name = lab.store.database.url.database
    engine = create_engine(lab.store.database.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {refuse}")
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


_GUEST = "guest"  # the tests otherwise connect as a superuser, which has no limit


def _limit_connections(lab: Lab, *, limit: int) -> None:
    """Limit the guest to `limit` connections, -1 for no limit, and close its open ones, as on a full server."""
    engine = create_engine(lab.store.database.url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER ROLE {_GUEST} CONNECTION LIMIT {limit}")
        connection.exec_driver_sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{_GUEST}'")


def _lab_of_a_guest(lab: Lab, home: Path) -> Lab:
    """Return the same lab, opened by a user who is not a superuser."""
    with lab.store.database.write() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {_GUEST} LOGIN IN ROLE pg_read_all_data, pg_write_all_data")
        connection.exec_driver_sql("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO " + _GUEST)
    url = lab.store.database.url.set(username=_GUEST).render_as_string(hide_password=False)
    return open_lab(home, LAB_DATABASE=url)


@pytest.mark.parametrize("how", ["kill", "stop", "read-only", "too many connections"])
def test_training_survives_a_short_outage_of_postgres(
    lab: Lab, server: PostgresServer, monkeypatch: pytest.MonkeyPatch, how: str, tmp_path: Path
) -> None:
    begin, end = {
        "kill": (server.kill, server.start),
        "stop": (server.stop, server.start),
        "read-only": (partial(_refuse_writes, lab, refuse=True), partial(_refuse_writes, lab, refuse=False)),
        "too many connections": (partial(_limit_connections, lab, limit=0), partial(_limit_connections, lab, limit=-1)),
    }[how]
    training_lab = _lab_of_a_guest(lab, tmp_path / "guest") if how == "too many connections" else lab
    training = _train(monkeypatch, training_lab, begin, wait_s=3_600.0)
    wait_until(lambda: training.beat.outage.longest_s > 0.5)
    if how == "too many connections":
        with pytest.raises(
            StoreUnreachableError,
            match=r"too many connections for role.*: close other connections to it, or raise its limit, and try again",
        ):
            training_lab.store.runs.list()
    end()
    training.wait()
    done = run = lab.store.runs.get(training.beat.run.id)
    assert (done.state, done.reason, done.attempts) == (RunState.FINISHED, "", 1)
    assert set(training.acknowledged) <= set(_steps(lab, run))
    assert _steps(lab, run) == list(range(1, done.summary.step + 1))
    assert lab.store.integrity.verify(run.id) == ()
    training_lab.store.close()


def _lab_with_short_timeout(home: Path) -> Lab:
    """Return a lab on SQLite whose writes wait at most half a second for another process."""
    lab = open_lab(home)
    vars(lab)["store"] = RunStore.open(lab.settings.database, busy_s=0.5)
    return lab


def _hold_lock(lab: Lab) -> Callable[[], None]:
    holder = sqlite3.connect(lab.settings.home / "lab.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    return holder.close


@pytest.mark.parametrize("backend", ["postgres", "sqlite"])
def test_a_long_outage_pauses_the_run_with_its_reason_and_resume_gives_the_same_result(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = request.getfixturevalue("lab") if backend == "postgres" else _lab_with_short_timeout(tmp_path)
    restore: list[Callable[[], None]] = []

    def begin_outage() -> None:
        if backend == "postgres":
            server = request.getfixturevalue("server")
            server.stop()
            restore.append(server.start)
        else:
            restore.append(_hold_lock(lab))

    training = _train(monkeypatch, lab, begin_outage, wait_s=1.0)
    wait_until(lambda: training.beat.timed_out)
    time.sleep(0.5)
    assert training.thread.is_alive()
    restore[0]()
    training.wait()
    paused = run = lab.store.runs.get(training.beat.run.id)
    assert paused.state is RunState.PAUSED
    assert paused.reason.startswith("The run store was unreachable for ")
    assert f"paused at step {paused.summary.step:,}: resume continues from there" in paused.reason
    assert [file.step for file in lab.store.files.list(run.id, kind=CHECKPOINT)] == [paused.summary.step]
    assert _steps(lab, run) == list(range(1, paused.summary.step + 1))
    assert set(training.acknowledged) <= set(_steps(lab, run))
    lab.submissions.control(run.id, RunRequest.RUN)
    resumed = train_queued(lab)
    assert (resumed.state, resumed.reason) == (RunState.FINISHED, "")
    lab.submissions.submit(lab.validation.resolve(LONG), fresh=True)
    assert _weights(lab, resumed) == _weights(lab, train_queued(lab))


def test_a_run_that_lost_its_lease_during_the_outage_is_not_written_to(
    lab: Lab, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mark_interrupted() -> None:
        with lab.store.database.write() as connection:  # as the supervisor of another host does if a lease has expired
            (running,) = lab.store.runs.list()
            row = sound_row(connection, running.id, lock=True)
            change_row(connection, row, state=RunState.INTERRUPTED, lease=running.lease + 1)
        server.stop()

    training = _train(monkeypatch, lab, mark_interrupted, wait_s=3_600.0)
    run = training.beat.run
    server.start()
    training.wait()
    left = lab.store.runs.get(run.id)
    assert (left.state, left.lease) == (RunState.INTERRUPTED, run.lease + 1)
    assert lab.store.integrity.verify(run.id) == ()


def test_a_worker_that_waited_for_postgres_trains_the_queued_run(lab: Lab, server: PostgresServer) -> None:
    lab.submissions.submit(lab.validation.resolve(SMALL))
    server.stop()
    ending = threading.Event()
    worker = threading.Thread(target=work, args=(lab,), kwargs={"ending": ending, "idle_s": 3_600.0}, daemon=True)
    worker.start()
    time.sleep(2.0)
    assert worker.is_alive()
    server.start()
    wait_until(lambda: lab.store.runs.list()[0].state is RunState.FINISHED)
    ending.set()
    worker.join(LIMIT_S)
    assert not worker.is_alive()


def test_a_run_whose_claim_got_no_response_is_queued_again(lab: Lab) -> None:
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run = claim(lab)
    assert lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process()) is None
    lab.store.leases.release(slot="cpu", owner=Owner.of_this_process())
    again = claim(lab)
    assert (again.id, again.attempts) == (run.id, 1)
    assert again.lease > run.lease


def test_the_worker_of_one_run_waits_for_a_locked_row(lab: Lab) -> None:
    run = lab.submissions.submit(lab.validation.resolve(SMALL)).run.id

    class EndsTheEdit(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            edit.rollback()
            return super().wait(timeout)

    with lab.store.database.engine.connect() as other:
        edit = other.begin()
        sound_row(other, run, lock=True)
        assert train_one(lab, run, ending=EndsTheEdit()) == 0
        assert not edit.is_active
    assert lab.store.runs.get(run).state is RunState.FINISHED


def test_a_supervisor_without_a_worker_does_not_wait_forever(
    lab: Lab, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "IDLE_S", 0.1)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    server.stop()
    alone = process.Supervisor(lab.settings, store_timeout_s=1.0)
    began = time.monotonic()
    alone.run(lab.store)
    assert time.monotonic() - began > 1.0
    assert alone.outage.exceeded
    server.start()


@pytest.mark.slow
def test_supervisor_worker_and_training_survive_sixty_seconds_without_postgres(
    lab: Lab, server: PostgresServer
) -> None:
    run = lab.submissions.submit(lab.validation.resolve(LONG.replace(epochs=200, keep_mb=1))).run.id
    assert lab.workers.ensure()
    wait_until(lambda: int(lab.store.runs.get(run).progress.step or 0) > 100)
    pid_file = (lab.settings.home / "supervisor.json").read_text()
    acknowledged = lab.store.points.read(run)["batch/loss"].step.tolist()
    server.kill()
    time.sleep(60.0)
    server.start()
    wait_until(lambda: lab.store.points.read(run)["batch/loss"].step[-1] > acknowledged[-1] + 100)
    record = lab.store.runs.get(run)
    assert (record.state, record.attempts) == (RunState.RUNNING, 1)
    lab.submissions.control(run, RunRequest.STOP)
    wait_until(lambda: lab.store.runs.get(run).state is RunState.STOPPED)
    steps = lab.store.points.read(run)["batch/loss"].step.tolist()
    assert steps == list(range(1, len(steps) + 1))
    assert set(acknowledged) <= set(steps)
    assert (lab.settings.home / "supervisor.json").read_text() == pid_file
    assert lab.store.integrity.verify(run) == ()
    os.kill(int(json.loads(pid_file)["pid"]), signal.SIGTERM)
    wait_until(lambda: not is_running(lab.settings))
