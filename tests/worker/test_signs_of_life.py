"""How workers, hosts and supervisors announce themselves: which calls to the store they make, and when.

The clock advances only when the test advances it.
"""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lab.errors import StoreBusyError, StoreError
from lab.runs.hosts import HostRecord, HostState
from lab.runs.owner import Owner, this_host
from lab.runs.records import RunRequest
from lab.runs.rows import RENEW_S
from lab.runs.workers import SEEN_S, WorkerRecord
from lab.settings import Settings
from lab.worker import loop
from lab.worker import presence as presence_module
from lab.worker.heartbeat import COUNT_EVERY, Heartbeat
from lab.worker.loop import keep_supervised
from lab.worker.presence import Presence
from lab.worker.supervisor import membership as membership_module
from lab.worker.supervisor import process as process_module
from lab.worker.supervisor.launch import LEAVE
from lab.worker.supervisor.log import log_worker
from lab.worker.supervisor.membership import Membership
from lab.worker.supervisor.pid_files import worker_pid_path
from lab.worker.supervisor.process import Supervisor, main
from lab.worker.supervisor.slots import Slot, plan_slots
from tests.worker.test_written_down import CallRecorder
from tests.worker.worker_runs import SMALL, Passing, Pauses, claim, open_lab


def record_calls(
    store: object, calls: list[str], failing: Counter[str] | None = None, error: type[Exception] = StoreBusyError
) -> CallRecorder:
    return CallRecorder(store, calls, failing if failing is not None else Counter(), lambda: error("the store is away"))


def names_of(calls: list[str]) -> list[str]:
    return [line.partition(" |")[0] for line in calls]


@pytest.mark.parametrize(
    ("host", "joined", "sent_away"),
    [
        (None, False, False),
        (HostRecord("", joined=True), True, False),
        (HostRecord("", HostState.DRAINING), False, True),
        (HostRecord("", HostState.DRAINING, joined=True), True, True),
        (HostRecord("", HostState.REMOVED, joined=True), True, True),
    ],
    ids=["own", "joined", "drained", "joined and drained", "removed"],
)
def test_a_renewal_reads_the_state_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: HostRecord | None, joined: bool, sent_away: bool
) -> None:
    lab, calls = open_lab(tmp_path), []
    lab.submissions.submit(lab.validation.resolve(SMALL))
    beat = Heartbeat(lab, claim(lab), threading.Event())
    monkeypatch.setattr(type(lab.store.hosts), "find", lambda _self, name: calls.append(name) or host)
    assert beat._renew() is RunRequest.RUN
    assert (beat.joined, beat.sent_away, beat.over_budget) == (joined, sent_away, False)
    assert calls == [this_host()]


def test_a_renewal_stores_the_log_and_every_fifth_counts_the_runs_in_training(tmp_path: Path) -> None:
    lab, calls = open_lab(tmp_path), []
    lab.submissions.submit(lab.validation.resolve(SMALL))
    run = claim(lab)
    vars(lab)["store"] = record_calls(lab.store, calls)
    beat = Heartbeat(lab, run, threading.Event())
    for _ in range(COUNT_EVERY + 1):
        beat._renew()
    assert [
        at
        for at, name in enumerate(n for n in names_of(calls) if n in ("queue.count_running", "leases.heartbeat"))
        if name == "queue.count_running"
    ] == [1, COUNT_EVERY + 2]
    assert names_of(calls).count("leases.heartbeat") == COUNT_EVERY + 1
    calls.clear()
    for line in ("first", "", "second"):
        if line:
            log_worker(line)
        beat._renew()
    assert names_of(calls).count("logs.write") == 2  # only if there are new lines
    assert [line.partition(": ")[2] for line in lab.store.logs.read(run.id).lines[-2:]] == ["first", "second"]


def test_a_waiting_worker_renews_its_entry_every_few_seconds_and_removes_it_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    store, clock, calls, failing = open_lab(tmp_path).store, Passing(), [], Counter[str]()
    monkeypatch.setattr(presence_module, "time", clock)
    presence = Presence(record_calls(store, calls, failing), WorkerRecord(Owner.of_this_process(), "cpu", "cpu", 1, 1))  # type: ignore[arg-type]
    at = []
    for _ in range(8):
        calls.clear()
        presence.renew()
        at += [clock.now - 1_000.0] if calls else []
        clock.now += SEEN_S / 4
    assert at == [0.0, SEEN_S]
    failing["workers.announce"] = 1
    with pytest.raises(StoreBusyError):
        presence.renew()
    presence.renew()  # again at once, because nothing was stored
    on_full_disk = Presence(
        record_calls(store, calls, Counter({"workers.announce": 1, "workers.leave": 1}), StoreError),
        WorkerRecord(Owner.of_this_process(), "cpu #2", "cpu", 1, 1),
    )  # type: ignore[arg-type]
    on_full_disk.renew()
    calls.clear()
    on_full_disk.renew()
    assert calls == []  # after a full disk it is not tried again at once
    on_full_disk.end()
    presence.end()
    assert names_of(calls) == ["workers.leave", "workers.leave"]
    assert capfd.readouterr().err.count("the table of workers could not be written: the store is away") == 2


@pytest.mark.parametrize(("again_s", "looks"), [(0.3, 21), (2.0, 4), (60.0, 2)])
def test_an_idle_worker_renews_its_entry_polls_for_runs_and_exits_after_its_idle_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again_s: float, looks: int
) -> None:
    lab, clock, calls = open_lab(tmp_path), Passing(), []
    began = clock.now
    for module in (loop, presence_module):
        monkeypatch.setattr(module, "time", clock)
    asked = []
    monkeypatch.setattr(Presence, "look_again_s", lambda _self, least_s: asked.append(least_s) or again_s)
    vars(lab)["store"] = record_calls(lab.store, calls)
    loop.work(lab, ending=clock, idle_s=6.0)
    lasted_s = clock.now - began
    assert lasted_s == pytest.approx(max(6.0, again_s) if again_s > 6.0 else 6.0, abs=0.31)
    assert abs(names_of(calls).count("leases.claim") - looks) <= (again_s == 0.3)  # 0.3 is not a sum of powers of two
    assert asked == [0.3] * names_of(calls).count("leases.claim")
    assert names_of(calls).count("workers.announce") == 1 + int(lasted_s // (SEEN_S + 0.3))  # it sleeps 0.3 s at a time
    assert names_of(calls)[-1] == "workers.leave"


def test_a_host_reads_its_state_every_two_seconds_and_only_a_joined_one_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, clock, calls = open_lab(tmp_path), Passing(), []
    monkeypatch.setattr(membership_module, "time", clock)
    own = Membership(lab.settings, record_calls(lab.store, calls), HostRecord(this_host()))  # type: ignore[arg-type]
    lab.store.hosts.drain(this_host())
    accepts = []
    for _ in range(5):
        own.step()
        accepts.append(own.accepts)
        clock.now += 1.0
    assert names_of(calls).count("hosts.find") == 3
    assert accepts == [False] * 5
    own.leave()
    assert (own.joined, own.expelled, own.busy) == (False, False, False)
    assert names_of(calls)[-1] != "hosts.leave"


@pytest.mark.parametrize(
    ("state", "joined", "accepts", "expelled"),
    [
        (HostState.ACTIVE, True, True, False),
        (HostState.DRAINING, True, False, False),
        (HostState.REFUSED, True, False, True),
        (HostState.REMOVED, True, False, True),
        (HostState.REMOVED, False, False, False),
    ],
)
def test_a_joined_host_that_was_removed_or_refused_is_expelled(
    tmp_path: Path, state: HostState, joined: bool, accepts: bool, expelled: bool
) -> None:
    lab = open_lab(tmp_path)
    membership = Membership(lab.settings, lab.store, HostRecord("far", state, "why", joined=joined))
    assert (membership.accepts, membership.expelled, membership.reason) == (accepts, expelled, "why")
    without_reason = Membership(lab.settings, lab.store, HostRecord("far", state, joined=joined))
    assert without_reason.reason == "This machine was removed from the lab: `convlab worker --join` lets it return."


def test_a_supervisor_that_cannot_be_started_is_retried_with_growing_delays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("a file in place of the folder")
    pauses = Pauses(6)
    keep_supervised(Settings.from_env({"LAB_HOME": str(tmp_path / "home")}), pauses)
    assert pauses.taken == [RENEW_S, 2 * RENEW_S, 4 * RENEW_S, 8 * RENEW_S, 16 * RENEW_S, 60.0]
    assert capfd.readouterr().err.count("the supervisor has exited, and none could be started: ") == 5


def test_a_worker_whose_pid_file_cannot_be_written_works_and_the_log_names_the_consequence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = open_lab(tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    worker_pid_path(lab.settings).mkdir()
    supervisor = Supervisor(lab.settings)
    supervisor._start_worker(Slot(index=0, count=2))
    worker = supervisor.workers[0]
    assert (worker.process.wait(30), worker.slot, worker.leaving) == (0, Slot(index=0, count=2), False)
    first, second = (line.partition(": ")[2] for line in capfd.readouterr().err.splitlines())
    assert first == "starting a worker for slot 1 of 2"
    assert second.startswith("no pid file could be written (")
    assert second.endswith("), so a new supervisor cannot adopt this worker")


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, LEAVE)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_supervisor_that_exits_ends_its_dispatcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_handlers: None
) -> None:
    monkeypatch.setattr(process_module, "IDLE_S", 0.02)
    monkeypatch.setattr(process_module, "POLL_S", 0.01)
    lab = open_lab(tmp_path)
    assert main(lab.settings) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "jobs" and thread.is_alive()]


@pytest.mark.parametrize(("arguments", "slot"), [((), Slot(device="cpu")), (("2/3",), plan_slots("cpu", 3)[1])])
def test_a_worker_uses_the_slot_named_in_its_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_handlers: None, arguments: tuple[str, ...], slot: Slot
) -> None:
    seen: list[object] = []
    monkeypatch.setenv("LAB_HOME", str(tmp_path))
    monkeypatch.setenv("LAB_DEVICE", "cpu")
    monkeypatch.setattr(loop, "keep_supervised", lambda *_: None)
    monkeypatch.setattr(loop, "prepare_device", lambda device: seen.append(str(device)))
    monkeypatch.setattr(loop, "work", lambda lab, **asked: seen.extend([lab.settings.device, asked["slot_plan"]]))
    assert loop.main(arguments) == 0
    assert seen == ["cpu", "cpu", slot]
    assert loop.main(("4/3",)) == 1


def test_a_device_without_free_memory_is_logged_and_any_other_error_is_raised(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def warm_up(_device: torch.device) -> None:
        raise error

    monkeypatch.setattr(loop, "warm_up", warm_up)
    error: RuntimeError = torch.OutOfMemoryError("CUDA out of memory")
    loop.prepare_device(torch.device("cpu"))
    assert "the device cpu has no free memory at the moment: CUDA out of memory" in capfd.readouterr().err
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        loop.prepare_device(torch.device("cpu"))
