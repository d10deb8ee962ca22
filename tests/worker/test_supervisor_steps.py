"""Single steps of a supervisor: which workers it starts and asks to leave, and which runs it marks.

The clock advances only when the test advances it.
"""

import errno
import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from lab.errors import StoreBusyError
from lab.runs import outage
from lab.runs.hosts import HostRecord, HostState
from lab.runs.owner import Owner, this_host
from lab.runs.records import RunRequest, RunState
from lab.service.lab import Lab
from lab.worker.supervisor import process as module
from lab.worker.supervisor.failures import read_failing
from lab.worker.supervisor.launch import LEAVE, TERM_S
from lab.worker.supervisor.membership import Membership
from lab.worker.supervisor.pid_files import read_pid_file, worker_pid_path
from lab.worker.supervisor.process import FAST_EXIT_S, IDLE_S, MAX_FAST_EXITS, POLL_S, SlotWorker, Supervisor
from lab.worker.supervisor.signal_event import SignalEvent
from lab.worker.supervisor.slots import host_slots, store_slots
from tests.runs.conftest import Process
from tests.worker.worker_runs import SMALL, Passing, open_lab


class Child:
    """A fake `subprocess.Popen` of a worker, which the test ends. stays: it exits only when it is killed."""

    started: ClassVar[list["Child"]] = []
    stays = False

    def __init__(self, command: list[str], **options: Any) -> None:
        self.place = command[-1] if len(command) > 3 else "only"
        self.environment: dict[str, str] = options["env"]
        self.pid, self.code, self.received = os.getpid(), None, list[object]()
        Child.started.append(self)

    def poll(self) -> int | None:
        return self.code

    def send_signal(self, number: int) -> None:
        self.received.append(number)

    def terminate(self) -> None:
        self.received.append(signal.SIGTERM)

    def wait(self, timeout: float | None = None) -> int:
        self.received.append(timeout)
        if self.stays and timeout is not None:
            raise subprocess.TimeoutExpired("worker", timeout)
        return 0

    def kill(self) -> None:
        self.received.append(signal.SIGKILL)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Passing:
    clock = Passing()
    clock.sleep = clock.wait  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "time", clock)
    fake = SimpleNamespace(Popen=Child, DEVNULL=None, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(module, "subprocess", fake)
    monkeypatch.setattr(Child, "started", [])
    return clock


@pytest.fixture
def lab(tmp_path: Path, clock: Passing) -> Lab:
    return open_lab(tmp_path, LAB_DEVICE="cpu")


def _queue(lab: Lab, *seeds: int) -> list[str]:
    return [lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=seed))).run.id for seed in seeds]


def _step(supervisor: Supervisor, lab: Lab, clock: Passing, *, after_s: float = POLL_S) -> list[str]:
    """Advance the clock and take one step; return the places of the workers that it started."""
    before = len(Child.started)
    clock.now += after_s
    supervisor._step(lab.store)
    return [child.place for child in Child.started[before:]]


@pytest.mark.parametrize(
    ("slots", "runs", "started"),
    [
        (1, 0, []),
        (1, 1, ["only"]),
        (1, 5, ["only"]),
        (3, 1, ["1/3"]),
        (3, 2, ["1/3", "2/3"]),
        (3, 3, ["1/3", "2/3", "3/3"]),
        (3, 4, ["1/3", "2/3", "3/3"]),
    ],
)
def test_there_are_as_many_workers_as_runs_and_no_more_than_slots(
    lab: Lab, clock: Passing, slots: int, runs: int, started: list[str]
) -> None:
    store_slots(lab.settings, slots)
    _queue(lab, *range(runs))
    supervisor = Supervisor(lab.settings)
    assert _step(supervisor, lab, clock) == started
    assert _step(supervisor, lab, clock) == []
    assert sorted(supervisor.workers) == list(range(len(started)))
    for index, worker in supervisor.workers.items():
        assert (worker.slot, worker.started_at) == (host_slots(lab.settings)[index], clock.now - POLL_S)
        pid_file = read_pid_file(worker_pid_path(lab.settings, index))
        assert pid_file is not None
        assert (pid_file.owner, pid_file.slot) == (Owner.of_this_process(), worker.slot)


def test_one_warm_worker_is_started_once(lab: Lab, clock: Passing) -> None:
    store_slots(lab.settings, 2)
    supervisor = Supervisor(lab.settings, warm=True)
    assert _step(supervisor, lab, clock) == ["1/2"]
    supervisor.workers[0].process.code = 0  # type: ignore[union-attr]
    assert _step(supervisor, lab, clock) == []
    assert supervisor.workers == {}


def test_the_store_is_polled_for_work_twice_a_second_and_at_once_when_a_worker_has_exited(
    lab: Lab, clock: Passing
) -> None:
    store_slots(lab.settings, 2)
    supervisor = Supervisor(lab.settings)
    assert _step(supervisor, lab, clock) == []
    _queue(lab, 1)
    assert _step(supervisor, lab, clock, after_s=0.9 * POLL_S) == []
    assert _step(supervisor, lab, clock, after_s=0.1 * POLL_S) == ["1/2"]
    _queue(lab, 2)
    Child.started[0].code = 0
    assert _step(supervisor, lab, clock, after_s=0.1 * POLL_S) == ["1/2", "2/2"]


def test_the_run_of_an_exited_worker_is_interrupted_with_the_exit_code_in_its_log(
    lab: Lab, clock: Passing, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = _queue(lab, 1)
    supervisor = Supervisor(lab.settings)
    for _ in range(MAX_FAST_EXITS + 1):
        dead = Process()
        assert _step(supervisor, lab, clock) == ["only"]
        assert lab.store.leases.claim(slot="cpu", owner=dead.owner) is not None
        lab.store.logs.write(run, host="here", lines=("training",))
        dead.kill()
        Child.started[-1].code = 9
        _step(supervisor, lab, clock, after_s=0.0)
        assert lab.store.runs.get(run).state is RunState.INTERRUPTED
        assert supervisor.fast_exits[0] == 0, "it had claimed a run"
        lines = lab.store.logs.read(run).lines
        assert lines[0] == "training"
        assert sum("the worker ended with exit code 9" in line for line in lines) == 1
        lab.submissions.control(run, RunRequest.RUN)
    assert "failed 3 times" not in capfd.readouterr().err


def test_the_run_of_a_dead_worker_of_another_supervisor_is_marked_interrupted(
    lab: Lab, clock: Passing, capfd: pytest.CaptureFixture[str]
) -> None:
    (run,) = _queue(lab, 1)
    dead = Process()
    assert lab.store.leases.claim(slot="cpu", owner=dead.owner) is not None
    dead.kill()
    assert _step(Supervisor(lab.settings), lab, clock) == []
    assert f"run {run} was left by a dead worker and is now marked interrupted" in capfd.readouterr().err
    with lab.store.database.read() as connection:
        stored = connection.exec_driver_sql("SELECT state FROM runs").scalar_one()
    assert stored == "interrupted"


def test_a_slot_whose_workers_fail_at_once_three_times_gets_no_more_while_others_do(
    lab: Lab, clock: Passing, capfd: pytest.CaptureFixture[str]
) -> None:
    store_slots(lab.settings, 2)
    _queue(lab, 1, 2)
    supervisor = Supervisor(lab.settings)
    assert _step(supervisor, lab, clock) == ["1/2", "2/2"]
    for at in range(MAX_FAST_EXITS):
        supervisor.workers[0].process.code = 1  # type: ignore[union-attr]
        again = _step(supervisor, lab, clock, after_s=FAST_EXIT_S / 2)
        assert again == (["1/2"] if at < MAX_FAST_EXITS - 1 else [])
        assert not supervisor.gave_up
    assert capfd.readouterr().err.count("the worker failed 3 times before it claimed a run") == 1
    for _ in range(1 + MAX_FAST_EXITS):  # its first worker did not exit fast
        supervisor.workers[1].process.code = 1  # type: ignore[union-attr]
        _step(supervisor, lab, clock, after_s=FAST_EXIT_S / 2)
    assert (supervisor.gave_up, supervisor.workers) == (True, {})


def test_a_process_that_the_system_refuses_to_start_counts_as_a_failure_and_is_named(
    lab: Lab, clock: Passing, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    _queue(lab, 1)
    supervisor = Supervisor(lab.settings)
    monkeypatch.setattr(module.subprocess, "Popen", refuse)
    for at in range(MAX_FAST_EXITS):
        assert not supervisor.gave_up, at
        assert _step(supervisor, lab, clock) == []
    said = "Resource temporarily unavailable: end other programs of this user, or raise the limit of processes"
    assert capfd.readouterr().err.count(f"no process can be started ({said}") == MAX_FAST_EXITS
    assert (supervisor.gave_up, supervisor.workers) == (True, {})
    assert (read_failing(lab.settings) or "").startswith(said)


def test_workers_of_removed_slots_are_asked_to_leave_once_and_their_exit_is_no_failure(
    lab: Lab, clock: Passing
) -> None:
    store_slots(lab.settings, 2)
    _queue(lab, 1, 2)
    supervisor = Supervisor(lab.settings)
    _step(supervisor, lab, clock)
    first, second = Child.started
    store_slots(lab.settings, 1)
    for _ in range(2):
        assert _step(supervisor, lab, clock) == []
    assert (first.received, second.received) == ([LEAVE], [LEAVE]), "the only slot has all cores"
    first.code = second.code = 1
    assert _step(supervisor, lab, clock) == ["only"]
    assert supervisor.fast_exits == Counter({0: 0, 1: 0})


@pytest.mark.parametrize(
    ("state", "joined", "started", "ends"),
    [
        (HostState.ACTIVE, False, ["only"], False),
        (HostState.DRAINING, False, [], False),
        (HostState.DRAINING, True, [], False),
        (HostState.REMOVED, False, [], False),
        (HostState.REMOVED, True, [], True),
        (HostState.REFUSED, True, [], True),
    ],
)
def test_a_host_that_accepts_no_runs_starts_no_worker_and_the_supervisor_of_a_removed_one_ends(
    lab: Lab,
    clock: Passing,
    capfd: pytest.CaptureFixture[str],
    state: HostState,
    joined: bool,
    started: list[str],
    ends: bool,
) -> None:
    _queue(lab, 1)
    membership = Membership(lab.settings, lab.store, HostRecord(this_host(), state, "Because.", joined=joined))
    membership.step = lambda: None  # type: ignore[method-assign]
    supervisor = Supervisor(lab.settings, membership=membership)
    assert _step(supervisor, lab, clock) == started
    assert supervisor.ending.is_set() is ends
    assert ("Because." in capfd.readouterr().err) is ends
    supervisor.ending = SignalEvent()
    supervisor.workers[0] = SlotWorker(Child(["", "", "worker"], env={}), host_slots(lab.settings)[0])  # type: ignore[arg-type]
    _step(supervisor, lab, clock)
    assert Child.started[-1].received == ([LEAVE] if ends else [])
    assert not supervisor.ending.is_set(), "its worker has a run to save"


def test_a_supervisor_exits_some_seconds_after_its_last_work(lab: Lab, clock: Passing) -> None:
    started_at = clock.now
    Supervisor(lab.settings, idle_since=started_at).run(lab.store)
    assert IDLE_S < clock.now - started_at <= IDLE_S + 2 * POLL_S
    (run,) = _queue(lab, 1)
    supervisor = Supervisor(lab.settings, idle_since=clock.now)
    wait = clock.wait

    def end_worker(timeout: float | None = None) -> bool:
        if clock.now - started_at > 100.0 and supervisor.workers:
            lab.store.removal.delete(run)
            Child.started[0].code = 0
        return wait(timeout)

    clock.sleep = end_worker  # type: ignore[attr-defined]
    supervisor.run(lab.store)
    assert 100.0 + IDLE_S < clock.now - started_at <= 100.0 + IDLE_S + 4 * POLL_S


def test_an_unreachable_store_is_waited_for_until_the_limit(
    lab: Lab, clock: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outage, "time", clock)
    supervisor = Supervisor(lab.settings, idle_since=clock.now)
    started_at = clock.now

    def step(_store: object) -> None:
        raise StoreBusyError("the store is away")

    supervisor._step = step  # type: ignore[method-assign]
    supervisor.run(lab.store)
    assert module.STORE_TIMEOUT_S + IDLE_S < clock.now - started_at <= module.STORE_TIMEOUT_S + IDLE_S + 4 * POLL_S


@pytest.mark.parametrize("stays", [False, True])
def test_workers_are_asked_to_end_and_killed_if_they_do_not(
    lab: Lab, clock: Passing, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    monkeypatch.setattr(Child, "stays", stays)
    _queue(lab, 1)
    supervisor = Supervisor(lab.settings)
    _step(supervisor, lab, clock)
    supervisor.end(signal.SIGTERM, None)
    supervisor.run(lab.store)
    assert Child.started[0].received == [signal.SIGTERM, TERM_S, *([signal.SIGKILL, None] if stays else [])]
