"""What a supervisor starts, with which settings and how often, and when it runs again; the processes are fakes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from lab.atomic_files import TEMPORARY
from lab.errors import StoreBusyError
from lab.runs.leases import Leases
from lab.runs.owner import Owner, this_host
from lab.runs.run_queue import RunQueue
from lab.runs.store import RunStore
from lab.service.lab import Lab
from lab.service.machines import NOBODY, STARTING
from lab.settings import PROCESS_ENVIRONMENT, Settings
from lab.worker.loop import work
from lab.worker.supervisor import process as module
from lab.worker.supervisor.adopted import AdoptedWorker
from lab.worker.supervisor.launch import is_running, lock_path, log_path, start_supervisor
from lab.worker.supervisor.pid_files import read_pid_file, starting_pid_path
from lab.worker.supervisor.process import SlotWorker, Supervisor, main
from tests.processes import idle_process
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import SMALL, open_lab

_DESCRIBES_ITSELF = """#!{python}
import json, os, sys
from pathlib import Path
environment = dict(os.environ)
facts = {{"argv": sys.argv[1:], "leads": os.getsid(0) == os.getpid(), "environment": environment, "cwd": os.getcwd()}}
Path({target!r} + ".part").write_text(json.dumps(facts))
os.replace({target!r} + ".part", {target!r})
"""
_EXITS_IN_TURN = """#!{python}
import sys
from pathlib import Path
starts = Path({target!r})
with starts.open("a") as file:
    file.write("x")
sys.exit({codes!r}[starts.stat().st_size - 1])
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose supervisor polls often and exits soon."""
    monkeypatch.setattr(module, "IDLE_S", 0.3)
    monkeypatch.setattr(module, "POLL_S", 0.02)
    return open_lab(tmp_path / "home")


@pytest.fixture
def signal_handlers() -> Iterator[None]:
    """Restore the signal handlers that `main` replaces."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _replace_python(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, **values: Any) -> Path:
    """Make a script run in place of Python; return the file that it writes."""
    target, script = folder / "target", folder / "script"
    script.write_text(text.format(python=sys.executable, target=str(target), **values))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    return target


def _read(target: Path) -> dict[str, Any]:
    wait_until(target.exists)
    facts: dict[str, Any] = json.loads(target.read_text())
    return facts


def _run(supervisor: Supervisor, lab: Lab) -> bool:
    """Run a supervisor until it exits by itself; return whether it did."""
    thread = threading.Thread(target=supervisor.run, args=(lab.store,), daemon=True)
    thread.start()
    thread.join(120)
    exited = not thread.is_alive()
    supervisor.end(signal.SIGTERM, None)
    thread.join(20)
    return exited


@pytest.mark.parametrize("warm", [True, False])
def test_a_supervisor_has_the_settings_of_its_lab_and_a_session_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "of another user"))
    settings = Settings.from_env({"LAB_HOME": str(tmp_path / "home")})
    target = _replace_python(tmp_path, monkeypatch, _DESCRIBES_ITSELF)
    assert start_supervisor(settings, warm=warm)
    facts = _read(target)
    assert facts["argv"] == ["-m", "lab.worker.supervisor", *(["--warm"] if warm else [])]
    assert facts["leads"]
    assert {name: facts["environment"][name] for name in settings.environment()} == settings.environment()


def test_a_supervisor_that_was_just_started_is_shown_before_it_holds_the_lock(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_python(tmp_path, monkeypatch, "#!/bin/sh\nexec sleep 600\n")
    lab.submissions.submit(lab.validation.resolve(SMALL))
    assert [entry.why for entry in lab.machines.show().waiting] == [NOBODY]
    assert lab.workers.ensure()
    assert not is_running(lab.settings)
    assert [entry.why for entry in lab.machines.show().waiting] == [STARTING]
    started = read_pid_file(starting_pid_path(lab.settings))
    assert started is not None
    os.kill(started.owner.pid, signal.SIGKILL)
    wait_until(lambda: [entry.why for entry in lab.machines.show().waiting] == [NOBODY])


def test_workers_that_exit_at_start_are_shown_as_the_reason_until_one_works(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_python(tmp_path, monkeypatch, "#!/bin/sh\nexit 3\n")
    lab.submissions.submit(lab.validation.resolve(SMALL))
    log = tmp_path / "home" / "logs" / "worker.log"
    log.parent.mkdir()
    log.write_text("ValueError: of an earlier worker\n")
    supervisor = Supervisor(lab.settings)
    thread = threading.Thread(target=supervisor.run, args=(lab.store,), daemon=True)
    thread.start()
    wait_until(lambda: supervisor.gave_up)
    supervisor.end(signal.SIGTERM, None)
    thread.join(LIMIT_S)
    expected = f"workers end as soon as they start (exit code 3): see {log}"
    assert [entry.why for entry in lab.machines.show().waiting] == [expected]
    ending = threading.Event()
    ending.set()
    work(lab, ending=ending)
    assert [entry.why for entry in lab.machines.show().waiting] == [NOBODY]


def test_a_worker_gets_the_labs_settings_and_the_environment_of_a_training_process(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *others = PROCESS_ENVIRONMENT
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "of another user"))
    monkeypatch.setenv(first, "chosen by the user")
    for name in others:
        monkeypatch.delenv(name, raising=False)
    target = _replace_python(tmp_path, monkeypatch, _DESCRIBES_ITSELF)
    assert _run(Supervisor(lab.settings, warm=True), lab)
    facts = _read(target)
    assert facts["argv"] == ["-m", "lab.worker"]
    expected = {**PROCESS_ENVIRONMENT, first: "chosen by the user", **lab.settings.environment()}
    assert {name: facts["environment"].get(name) for name in expected} == expected


def test_a_warm_worker_is_started_once_and_without_work_the_supervisor_exits(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[0] * 500)
    assert _run(Supervisor(lab.settings, warm=True), lab)
    assert target.read_text() == "x"


def test_without_work_no_worker_is_started(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[0] * 500)
    assert _run(Supervisor(lab.settings), lab)
    assert not target.exists()


def test_a_worker_that_exits_with_0_resets_the_count_of_failures(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[1, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1])
    lab.submissions.submit(lab.validation.resolve(SMALL))
    assert _run(Supervisor(lab.settings), lab)
    assert len(target.read_text()) == 9


def test_a_supervisor_that_waits_for_its_store_can_be_asked_to_end(tmp_path: Path) -> None:
    closed = "postgresql+psycopg://nobody@127.0.0.1:9/nothing?connect_timeout=2"
    settings = Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DATABASE": closed})
    supervisor = Supervisor(settings, store_timeout_s=30.0)
    supervisor.end(signal.SIGTERM, None)
    with pytest.raises(StoreBusyError, match="cannot be reached"):
        supervisor.outage.call(lambda: RunStore.open(settings.database))
    assert not supervisor.outage.exceeded


@pytest.mark.parametrize("asked_to_end", [True, False])
def test_only_a_supervisor_that_exits_by_itself_runs_again_for_a_run_queued_just_then(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_handlers: None, asked_to_end: bool
) -> None:
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[1] * 500)
    run_supervisor, queued = Supervisor.run, []

    def run(self: Supervisor, store: Any) -> None:
        run_supervisor(self, lab.store)
        if not queued:
            queued.append(lab.submissions.submit(lab.validation.resolve(SMALL)).run.id)
            if asked_to_end:
                self.end(signal.SIGTERM, None)

    monkeypatch.setattr(Supervisor, "run", run)
    assert main(lab.settings) == 0
    assert target.exists() != asked_to_end


def test_a_store_that_is_unreachable_at_the_end_is_polled_again_for_queued_runs(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal_handlers: None
) -> None:
    """It is then unknown whether a run is queued, so the supervisor continues."""
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[1] * 500)
    run_supervisor, count = Supervisor.run, RunQueue.count_queued
    refused: list[bool] = []

    def run(self: Supervisor, store: Any) -> None:
        run_supervisor(self, lab.store)
        if not refused:
            lab.submissions.submit(lab.validation.resolve(SMALL))
            refused.append(True)

    def count_queued(self: RunQueue, *, for_hosts: bool = False) -> int:
        if refused == [True]:
            refused.append(False)
            raise StoreBusyError("The run store was held by another process.")
        return count(self, for_hosts=for_hosts)

    monkeypatch.setattr(Supervisor, "run", run)
    monkeypatch.setattr(RunQueue, "count_queued", count_queued)
    assert main(lab.settings) == 0
    assert target.exists()


_EXITS_ON_SIGTERM = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(flush=True); "
    "time.sleep(86_400)"
)


def test_a_worker_is_asked_to_end_and_gets_time_for_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.TERM_S >= 10.0
    monkeypatch.setattr(module, "TERM_S", LIMIT_S)
    with subprocess.Popen([sys.executable, "-c", _EXITS_ON_SIGTERM], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        worker.stdout.readline()
        supervisor = Supervisor(lab.settings, workers={0: SlotWorker(worker)})
        supervisor.ending.set()
        supervisor.run(lab.store)
        assert worker.poll() == 7


class _Unreachable(Leases):
    """A store that is unreachable."""

    def recover(self) -> list[str]:
        raise StoreBusyError("The run store cannot be reached.")


def test_an_unreachable_store_is_waited_for_until_the_limit(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unknown meanwhile whether there is work, so the short idle timeout does not apply."""
    monkeypatch.setattr(lab.store, "leases", _Unreachable(lab.store.context))
    supervisor = Supervisor(lab.settings, store_timeout_s=1.0)
    started_at = time.monotonic()
    assert _run(supervisor, lab)
    assert time.monotonic() - started_at > 1.0
    assert supervisor.outage.exceeded


class _FakeTime:
    """A clock on which each wait of the supervisor takes `wait_s` seconds; `meanwhile` is called during each wait."""

    def __init__(self, wait_s: float, meanwhile: Callable[[], object] = lambda: time.sleep(0.02)) -> None:
        self.now, self.wait_s, self.meanwhile = 1_000.0, wait_s, meanwhile

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += self.wait_s
        self.meanwhile()


def _supervisor(lab: Lab, monkeypatch: pytest.MonkeyPatch, *, wait_s: float) -> tuple[Supervisor, _FakeTime]:
    monkeypatch.undo()  # the intervals are those of a real supervisor
    clock = _FakeTime(wait_s)
    monkeypatch.setattr(module, "time", clock)
    return Supervisor(lab.settings, idle_since=clock.now), clock


def test_a_supervisor_gives_up_after_three_workers_that_fail_within_seconds(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each exits within a wait of ten seconds on the clock."""
    supervisor, clock = _supervisor(lab, monkeypatch, wait_s=10.0)
    clock.meanwhile = lambda: [worker.process.wait() for worker in supervisor.workers.values()]
    target = _replace_python(tmp_path, monkeypatch, _EXITS_IN_TURN, codes=[1] * 500)
    lab.submissions.submit(lab.validation.resolve(SMALL))
    assert _run(supervisor, lab)
    assert target.read_text() == "xxx"


def test_a_supervisor_with_nothing_to_do_exits_after_some_seconds(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, clock = _supervisor(lab, monkeypatch, wait_s=1.0)
    started_at = clock.now
    assert _run(supervisor, lab)
    assert 5.0 < clock.now - started_at <= 7.0


def test_a_supervisor_waits_for_some_seconds_after_its_worker_has_exited(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a run queued just then need not wait for another supervisor."""
    supervisor, clock = _supervisor(lab, monkeypatch, wait_s=1.0)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as worker:
        assert worker.stdin is not None
        supervisor.workers[0] = SlotWorker(worker)
        thread = threading.Thread(target=supervisor.run, args=(lab.store,), daemon=True)
        thread.start()
        wait_until(lambda: clock.now >= 1_010.0)
        clock.wait_s = 0.0  # no time passes until its exit has been noticed
        exited = clock.now
        worker.stdin.close()
        wait_until(lambda: not supervisor.workers)
        clock.wait_s = 1.0
        thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert clock.now - exited >= 4.0


def test_the_output_of_supervisors_and_workers_is_appended_to_one_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path / "home")})
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho output; echo error >&2\n")
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))

    def is_logged(text: str) -> bool:
        return log_path(settings).read_text() == text

    for starts in (1, 2):
        assert start_supervisor(settings)
        wait_until(partial(is_logged, "output\nerror\n" * starts))


def test_a_second_supervisor_fails_and_names_the_lock(
    lab: Lab, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_S", 0.05)
    with FileLock(lock_path(lab.settings)):
        assert main(lab.settings) == 1
    assert f"holds {lock_path(lab.settings)}" in capfd.readouterr().err


def test_a_process_that_reuses_the_pid_of_an_exited_worker_is_not_signalled() -> None:
    with idle_process() as other:
        worker = AdoptedWorker(Owner(this_host(), other.pid, "before"))
        worker.terminate()
        worker.kill()
        time.sleep(0.2)
        assert other.poll() is None


def test_a_supervisor_cleans_up_when_it_starts(lab: Lab, signal_handlers: None) -> None:
    temporary = Path(lab.settings.artifacts, "run", f".weights{TEMPORARY}")
    temporary.parent.mkdir(parents=True)
    temporary.write_bytes(b"partial")
    os.utime(temporary, (1.0, 1.0))
    assert main(lab.settings) == 0
    assert not temporary.exists()
