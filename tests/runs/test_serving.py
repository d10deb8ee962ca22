"""A copied store names the processes of the original: there they have ended, and nobody signals them."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from lab.errors import LeaseLostError
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.runs.rows import LEASE_S
from lab.runs.serving import is_same_database, is_serving, works_for
from lab.runs.store import RunStore
from lab.runs.workers import WorkerRecord
from tests.runs.conftest import Clock, Process
from tests.runs.runs_data import claimed

COMMANDS: dict[str, Callable[[RunStore, str], object]] = {
    "resume": lambda store, run: store.leases.request(run, RunRequest.RUN),
    "stop": lambda store, run: store.leases.request(run, RunRequest.STOP),
    "delete": lambda store, run: store.removal.delete(run),
    "recover": lambda store, run: store.leases.recover(),
    "claim": lambda store, run: store.leases.claim(slot="cpu", owner=Owner.of_this_process()),
    "to an executor": lambda store, run: store.jobs.bind(run, "slurm"),
}


@pytest.fixture
def original(tmp_path: Path, clock: Clock) -> RunStore:
    return RunStore.open(f"sqlite:///{tmp_path / 'original' / 'lab.db'}", clock=clock)


def _copy(tmp_path: Path, clock: Clock) -> RunStore:
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    return RunStore.open(f"sqlite:///{tmp_path / 'copy' / 'lab.db'}", clock=clock)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("silent", [False, True])
def test_no_command_in_a_copied_store_signals_the_worker_of_the_original(
    tmp_path: Path, clock: Clock, original: RunStore, command: str, silent: bool
) -> None:
    worker = Process(str(original.database.url))
    try:
        run = claimed(original, worker.owner)
        copy = _copy(tmp_path, clock)
        clock.now += (LEASE_S + 1) * silent
        assert (original.runs.get(run.id).state, original.runs.get(run.id).responding) == (RunState.RUNNING, not silent)
        assert copy.runs.get(run.id).state is RunState.INTERRUPTED
        COMMANDS[command](copy, run.id)
        time.sleep(0.05)
        assert worker.alive
        assert copy.queue.count_running() == 0
        if not silent:
            original.leases.heartbeat(run.id, run.lease)  # it still holds the run
    finally:
        worker.kill()


def test_the_worker_of_the_original_is_not_listed_as_alive_in_a_copy(
    tmp_path: Path, clock: Clock, original: RunStore
) -> None:
    worker = Process(str(original.database.url))
    try:
        original.workers.announce(WorkerRecord(worker.owner, "cpu", "cpu", engine=1, slots=1))
        claimed(original, worker.owner, slot="cuda:0")
        copy = _copy(tmp_path, clock)
        assert [(one.slot, one.alive) for one in original.workers.list()] == [("cpu", True), ("cuda:0", True)]
        assert [(one.slot, one.alive) for one in copy.workers.list()] == [("cpu", False)]
    finally:
        worker.kill()


def test_a_process_that_does_not_show_its_database_loses_a_silent_run_but_is_not_killed(
    tmp_path: Path, clock: Clock, original: RunStore
) -> None:
    worker = Process()
    try:
        run = claimed(original, worker.owner)
        copy = _copy(tmp_path, clock)
        assert copy.runs.get(run.id).state is RunState.RUNNING
        clock.now += LEASE_S + 1
        assert copy.leases.request(run.id, RunRequest.RUN).state is RunState.QUEUED
        with pytest.raises(LeaseLostError, match="no longer held"):
            copy.leases.heartbeat(run.id, run.lease)
        time.sleep(0.05)
        assert worker.alive
    finally:
        worker.kill()


def test_a_store_reached_through_a_link_is_the_same_store(tmp_path: Path, clock: Clock, original: RunStore) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "original")
    worker = Process(f"sqlite:///{tmp_path / 'link' / 'lab.db'}")
    try:
        run = claimed(original, worker.owner)
        assert original.runs.get(run.id).state is RunState.RUNNING
        assert works_for(worker.owner, original.database.url)
    finally:
        worker.kill()


def test_what_is_known_of_a_processs_database(tmp_path: Path) -> None:
    (tmp_path / "lab.db").touch()
    (tmp_path / "other.db").touch()
    here = make_url(f"sqlite:///{tmp_path / 'lab.db'}")
    own = Owner.of_this_process()
    assert is_serving(own, None)
    assert is_serving(Owner("elsewhere", 1, "x"), here) is None
    assert is_serving(Owner(own.host, os.getpid(), "before"), here) is False
    for database, known in (("other.db", False), ("moved.db", None), ("lab.db", True)):
        process = Process(f"sqlite:///{tmp_path / database}")
        assert (works_for(process.owner, here), is_serving(process.owner, here)) == (known, known is not False)
        process.kill()
        assert is_serving(process.owner, here) is False
    relative = Process("sqlite:///lab.db")
    assert works_for(relative.owner, here) is None
    relative.kill()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("postgresql+psycopg://a@h/lab", "postgresql+psycopg://b:secret@h/lab", True),
        ("postgresql+psycopg://h/lab", "postgresql+psycopg://h/copy", False),
        ("postgresql+psycopg://h/lab", "postgresql+psycopg://127.0.0.1/lab", None),
        ("postgresql+psycopg://h/lab?options=a", "postgresql+psycopg://h/lab?options=b", None),
        ("postgresql+psycopg://h/lab", "sqlite:////absent/lab.db", False),
        ("sqlite:////absent/lab.db", "sqlite:////absent/copy.db", None),
    ],
)
def test_two_addresses_lead_to_the_same_database_to_another_or_it_is_unknown(
    one: str, other: str, same: bool | None
) -> None:
    assert is_same_database(make_url(one), make_url(other)) is same
    assert is_same_database(make_url(other), make_url(one)) is same
