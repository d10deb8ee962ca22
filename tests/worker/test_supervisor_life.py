"""A supervisor with workers that fail, that do not exit when asked, and that another supervisor started."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.runs.owner import Owner, process_start, this_host
from lab.runs.records import RunState
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor import launch
from lab.worker.supervisor import process as module
from lab.worker.supervisor.adopted import AdoptedWorker, find_workers
from lab.worker.supervisor.launch import (
    STOP_JOBS_S,
    TERM_S,
    is_supervised,
    log_path,
    start_supervisor,
    stop_mismatched_supervisor,
)
from lab.worker.supervisor.pid_files import starting_pid_path, supervisor_pid_path, worker_pid_path, write_pid_file
from lab.worker.supervisor.process import SlotWorker, Supervisor, main
from lab.worker.supervisor.slots import Slot
from tests.processes import idle_process
from tests.waiting import LIMIT_S
from tests.worker.worker_runs import SMALL, open_lab

_STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(86_400)"
)
_EXITS_WITH_A_RUN = f"""#!{sys.executable}
import os, sys
sys.path.insert(0, {str(CHECKOUT)!r})
from lab.runs.owner import Owner
from lab.runs.store import RunStore
from lab.settings import Settings
RunStore.open(Settings.from_env(os.environ).database).leases.claim(slot="cpu", owner=Owner.of_this_process())
os._exit(1)
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose supervisor polls often and exits soon."""
    monkeypatch.setattr(module, "IDLE_S", 0.5)
    monkeypatch.setattr(module, "POLL_S", 0.05)
    return open_lab(tmp_path)


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A process that ignores SIGTERM."""
    with subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def _owner(process: subprocess.Popen[bytes]) -> Owner:
    return Owner(this_host(), process.pid, process_start(process.pid) or "")


def _starts(text: str) -> int:
    return text.count("starting a worker")


def test_a_supervisor_gives_up_after_three_workers_that_exit_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    lab.submissions.submit(lab.validation.resolve(SMALL))
    Supervisor(lab.settings).run(lab.store)
    assert _starts(capfd.readouterr().err) == 3


def test_workers_that_fail_long_after_their_start_are_replaced_without_limit(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    monkeypatch.setattr(module, "FAST_EXIT_S", 0.0)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    start, started = Supervisor._start_worker, []

    def end_after_five(self: Supervisor, slot: Slot) -> None:
        start(self, slot)
        started.append(slot)
        if len(started) == 5:
            self.end(signal.SIGTERM, None)

    monkeypatch.setattr(Supervisor, "_start_worker", end_after_five)
    Supervisor(lab.settings).run(lab.store)
    assert _starts(capfd.readouterr().err) == 5


def test_workers_that_exit_with_a_claimed_run_do_not_stop_the_queue(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "worker"
    script.write_text(_EXITS_WITH_A_RUN)
    script.chmod(0o700)
    runs = [lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=seed))).run.id for seed in range(4)]
    monkeypatch.setattr(sys, "executable", str(script))
    Supervisor(lab.settings).run(lab.store)
    assert [lab.store.runs.get(run).state for run in runs] == [RunState.INTERRUPTED] * 4


def test_a_worker_that_does_not_exit_is_killed_and_its_run_marked(
    lab: Lab, stubborn: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TERM_S", 0.3)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    assert lab.store.leases.claim(slot="cpu", owner=_owner(stubborn)) is not None
    supervisor = Supervisor(lab.settings, workers={0: SlotWorker(stubborn)})
    supervisor.ending.set()
    supervisor.run(lab.store)
    assert stubborn.poll() == -signal.SIGKILL
    assert lab.store.queue.count_running() == 0  # as stored, not only as read


def test_a_supervisor_does_not_exit_while_it_cleans_up(lab: Lab) -> None:
    done = threading.Event()
    cleanup = threading.Thread(target=done.wait, daemon=True)
    cleanup.start()
    thread = threading.Thread(target=Supervisor(lab.settings, cleanup=cleanup).run, args=(lab.store,), daemon=True)
    thread.start()
    thread.join(1.5)
    assert thread.is_alive()
    done.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()


def test_a_worker_is_started_for_a_run_queued_after_the_last_poll(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    run_supervisor, queued = Supervisor.run, []

    def run(self: Supervisor, store: object) -> None:
        run_supervisor(self, lab.store)
        if not queued:
            queued.append(lab.submissions.submit(lab.validation.resolve(SMALL)).run.id)

    monkeypatch.setattr(Supervisor, "run", run)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main(lab.settings) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert _starts(capfd.readouterr().err) == 3


def test_waiting_for_an_adopted_worker_times_out() -> None:
    with idle_process() as process:
        with pytest.raises(subprocess.TimeoutExpired):
            AdoptedWorker(_owner(process)).wait(0.2)
        assert AdoptedWorker(_owner(process)).poll() is None
        process.kill()
        process.wait()
    assert AdoptedWorker(Owner(this_host(), process.pid, "before")).poll() == 0


@pytest.mark.parametrize("same", [True, False], ids=["same settings", "other settings"])
def test_only_a_supervisor_with_other_settings_is_stopped(tmp_path: Path, same: bool) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    with idle_process() as process:
        environment = settings.environment() | ({} if same else {"LAB_DATA": "/elsewhere"})
        pid_file = {"pid": process.pid, "pid_start": process_start(process.pid), "host": this_host()}
        (tmp_path / "supervisor.json").write_text(json.dumps({**pid_file, "settings": environment}))
        stop_mismatched_supervisor(settings)
        if same:
            time.sleep(0.1)
            assert process.poll() is None
        else:
            assert process.wait(LIMIT_S) == -signal.SIGTERM


def test_the_supervisor_of_the_home_that_this_one_was_copied_from_is_neither_stopped_nor_taken_for_its_own(
    tmp_path: Path,
) -> None:
    """A copy of a lab's home holds the pid files of the original, whose supervisor may be training."""
    original, copy = (Settings.from_env({"LAB_HOME": str(tmp_path / name)}) for name in ("original", "copy"))
    original.make_home()
    with idle_process() as process:
        for path in (supervisor_pid_path(original), starting_pid_path(original)):
            write_pid_file(path, _owner(process), original)
        shutil.copytree(original.home, copy.home)
        assert (is_supervised(original), is_supervised(copy)) == (True, False)
        stop_mismatched_supervisor(copy)
        time.sleep(0.1)
        assert process.poll() is None


def test_a_supervisor_that_has_to_kill_its_worker_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other is started while it is alive, so a run queued meanwhile would not be trained."""
    ends_s, now = TERM_S + STOP_JOBS_S + 1.0, [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: now.__setitem__(0, now[0] + s))
    monkeypatch.setattr(launch, "time", clock)
    monkeypatch.setattr(launch, "is_running", lambda _settings: now[0] < ends_s)
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    with idle_process() as process:
        pid_file = {"pid": process.pid, "pid_start": process_start(process.pid), "host": this_host()}
        (tmp_path / "supervisor.json").write_text(json.dumps({**pid_file, "settings": {"LAB_DATA": "/elsewhere"}}))
        stop_mismatched_supervisor(settings)
        assert process.wait(LIMIT_S) == -signal.SIGTERM
    assert now[0] >= ends_s


def test_a_worker_is_found_with_its_slot_while_it_is_alive_and_has_the_labs_settings(tmp_path: Path) -> None:
    settings = open_lab(tmp_path).settings
    elsewhere = replace(settings, data=tmp_path / "elsewhere")
    with idle_process() as process, idle_process() as other, idle_process() as ended:
        for index, (worker, of) in enumerate(((process, settings), (other, elsewhere), (ended, settings))):
            write_pid_file(worker_pid_path(settings, index), _owner(worker), of, slot=Slot(index, 3))
        ended.kill()
        ended.wait()
        found = find_workers(settings)
        assert [slot.place for slot, _ in found] == ["1/3"]
    assert find_workers(settings) == ()


def test_consecutive_fast_exits_are_counted_by_slot_and_reset_by_a_longer_or_intended_one(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    supervisor = Supervisor(lab.settings)

    def ended(index: int, code: int, *, after_s: float, leaving: bool = False) -> int:
        process = subprocess.Popen(["/bin/false"])
        process.wait()
        supervisor.workers[index] = SlotWorker(process, started_at=now - after_s, leaving=leaving)
        supervisor._handle_exit(index, code, lab.store)
        assert index not in supervisor.workers
        return supervisor.fast_exits[index]

    fast, slow = module.FAST_EXIT_S - 1, module.FAST_EXIT_S
    assert [ended(0, 1, after_s=fast), ended(0, 1, after_s=fast), ended(1, 1, after_s=fast)] == [1, 2, 1]
    assert [ended(0, 1, after_s=slow), ended(0, 1, after_s=fast), ended(0, 0, after_s=fast)] == [0, 1, 0]
    assert [ended(1, 1, after_s=fast), ended(1, 1, after_s=fast, leaving=True)] == [2, 0]


@pytest.mark.parametrize("same", [True, False], ids=["same settings", "other settings"])
def test_only_a_worker_with_the_same_settings_is_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "IDLE_S", 0.2)
    settings = open_lab(tmp_path).settings
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    run_supervisor = Supervisor.run
    with idle_process() as process:
        environment = settings.environment() | ({} if same else {"LAB_DATA": "/elsewhere"})
        pid_file = {"pid": process.pid, "pid_start": process_start(process.pid), "host": this_host()}
        worker_pid_path(settings).write_text(json.dumps({**pid_file, "settings": environment}))

        def end_the_worker(self: Supervisor, store: RunStore) -> None:
            process.kill()
            process.wait()
            run_supervisor(self, store)

        monkeypatch.setattr(Supervisor, "run", end_the_worker)
        try:
            assert main(settings) == 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    assert (f"worker {process.pid}" in capfd.readouterr().err) == same


def test_a_supervisor_asked_to_end_right_after_its_pid_file_is_written_ends_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = open_lab(tmp_path).settings
    write = module._write_own_pid_file

    def write_and_end(own: Settings) -> None:
        write(own)
        os.kill(os.getpid(), signal.SIGTERM)  # as a lab with other settings does once it has read the pid file

    monkeypatch.setattr(module, "_write_own_pid_file", write_and_end)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with idle_process() as process:
        write_pid_file(worker_pid_path(settings), _owner(process), settings)
        try:
            assert main(settings) == 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        assert process.wait(LIMIT_S) == -signal.SIGTERM


def test_a_log_beyond_its_limit_is_rotated_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    log = log_path(settings)
    log.parent.mkdir(parents=True)
    for size, rotated in ((5_000_000, False), (5_000_001, True)):
        log.write_bytes(bytes(size))
        assert start_supervisor(settings)
        assert (log.stat().st_size < size) == rotated
        assert log.with_suffix(".old.log").exists() == rotated
