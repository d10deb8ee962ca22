"""A home that is copied while a run trains: the copy leaves the original's processes and jobs alone and can resume it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from filelock import FileLock

from lab.errors import StoreBusyError
from lab.runs.database import Database
from lab.runs.jobs import DISOWNED
from lab.runs.owner import Owner
from lab.runs.records import RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import CHECKOUT
from lab.worker.supervisor import process as module
from lab.worker.supervisor.launch import lock_path
from lab.worker.supervisor.pid_files import supervisor_pid_path, worker_pid_path, write_pid_file
from lab.worker.supervisor.process import Supervisor, main
from lab.worker.supervisor.slots import Slot
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import SMALL, open_lab

LONG = SMALL.replace(epochs=10_000)


@pytest.fixture
def original(tmp_path: Path) -> Lab:
    lab = open_lab(tmp_path / "original", LAB_DEVICE="cpu")
    lab.settings.make_home()
    return lab


@pytest.fixture
def worker(original: Lab) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a worker of the original that trains a run, without a supervisor."""
    original.submissions.submit(original.validation.resolve(LONG))
    with (
        FileLock(lock_path(original.settings)),
        subprocess.Popen(
            [sys.executable, "-m", "lab.worker"],
            cwd=CHECKOUT,
            env={**os.environ, **original.settings.environment(), "OMP_NUM_THREADS": "1"},
        ) as process,
    ):
        write_pid_file(
            worker_pid_path(original.settings), Owner.of_process(process.pid), original.settings, slot=Slot()
        )
        wait_until(lambda: bool(original.store.runs.list()[0].progress.step))
        yield process
        process.kill()


@pytest.mark.long
def test_the_run_of_a_worker_started_by_hand_with_flags_is_interrupted_in_a_copy(original: Lab) -> None:
    run = original.submissions.submit(original.validation.resolve(LONG)).run.id
    home = str(original.settings.home)
    words = [sys.executable, "-m", "lab", "--home", home, "--device", "cpu", "worker", "--run", run, "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    environment["OMP_NUM_THREADS"] = "1"
    with subprocess.Popen(words, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: bool(original.store.runs.get(run).progress.step))
            copy = _copy_while_training(original, process)
            assert copy.store.runs.get(run).state is RunState.INTERRUPTED
            assert original.store.runs.get(run).state is RunState.RUNNING
            process.terminate()  # it saves a checkpoint
            out, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
    assert (process.returncode, json.loads(out)) == (0, {"exit_code": 0})
    assert original.store.runs.get(run).state is RunState.INTERRUPTED


def _suspend(worker: "subprocess.Popen[Any]", lab: Lab) -> None:
    """Stop a worker while it holds no lock of the store; a copy made meanwhile has all its files."""
    database = Database(lab.settings.database, busy_s=0.05)
    while True:
        worker.send_signal(signal.SIGSTOP)
        wait_until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED)
        try:
            with database.write():
                return
        except StoreBusyError:
            worker.send_signal(signal.SIGCONT)


def _copy_while_training(original: Lab, worker: "subprocess.Popen[Any]") -> Lab:
    _suspend(worker, original)
    copy = _copy(original)
    worker.send_signal(signal.SIGCONT)
    return copy


def _copy(original: Lab) -> Lab:
    home = original.settings.home.with_name("copy")
    shutil.copytree(original.settings.home, home, ignore=shutil.ignore_patterns("*.lock"))
    return open_lab(home, LAB_DEVICE="cpu")


@pytest.mark.long
def test_a_run_resumes_in_a_copy_while_the_worker_of_the_original_goes_on(
    original: Lab, worker: "subprocess.Popen[bytes]"
) -> None:
    run = original.store.runs.list()[0].id
    wait_until(lambda: bool(original.store.files.list(run)))
    copy = _copy_while_training(original, worker)
    assert copy.store.runs.get(run).state is RunState.INTERRUPTED
    assert not any(slot.alive for host in copy.machines.show().hosts for slot in host.slots)
    copy.submissions.control(run, RunRequest.RUN)
    before = original.store.runs.get(run).progress.step or 0
    copy.store.leases.recover()
    claimed = copy.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert claimed is not None
    assert claimed.attempts == 2
    wait_until(lambda: (original.store.runs.get(run).progress.step or 0) > before)
    assert worker.poll() is None
    assert original.store.runs.get(run).state is RunState.RUNNING


@pytest.mark.long
def test_a_suspended_worker_is_killed_by_resume_in_its_own_home_only(
    original: Lab, worker: "subprocess.Popen[bytes]"
) -> None:
    run = original.store.runs.list()[0].id
    _suspend(worker, original)
    wait_until(lambda: not original.store.runs.get(run).responding)
    copy = _copy(original)
    assert copy.submissions.control(run, RunRequest.RUN).state is RunState.QUEUED
    assert psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED
    assert original.submissions.control(run, RunRequest.RUN).state is RunState.QUEUED
    assert worker.wait(LIMIT_S) == -signal.SIGKILL


@pytest.mark.long
def test_a_supervisor_of_a_copy_neither_adopts_nor_ends_the_worker_of_the_original(
    original: Lab, worker: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = _copy_while_training(original, worker)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    run_supervisor: Callable[..., None] = Supervisor.run

    def end_at_once(self: Supervisor, store: object) -> None:
        assert self.workers == {}
        self.ending.set()
        run_supervisor(self, store)

    monkeypatch.setattr(Supervisor, "run", end_at_once)
    try:
        assert main(copy.settings) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert "adopted" not in capfd.readouterr().err
    assert copy.store.queue.count_running() == 0
    assert original.store.queue.count_running() == 1
    assert worker.poll() is None


def test_a_copy_leaves_the_jobs_of_the_original_alone_and_names_its_own_differently(
    original: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (original.settings.home / "executors.toml").write_text("[slurm]\n")
    submitted, waiting = (
        original.submissions.submit(original.validation.resolve(SMALL.replace(seed=seed)), executor="slurm").run.id
        for seed in (0, 1)
    )
    job = original.store.jobs.open(submitted, "slurm")
    assert job is not None
    original.store.jobs.note(job.id, state="pending", words="", handle="12")
    write_pid_file(supervisor_pid_path(original.settings), Owner.of_this_process(), original.settings)
    copy = _copy(original)
    monkeypatch.setattr(Supervisor, "run", lambda _self, _store: None)
    monkeypatch.setattr(module, "_lab_duties", lambda _supervisor, _store: None)
    monkeypatch.setattr(module, "_may_be_queued", lambda _store, _settings: False)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        for _ in range(2):  # the second supervisor of the copy finds the pid file of the first
            assert main(copy.settings) == 0
            assert main(original.settings) == 0
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert original.store.jobs.count_open() == {"slurm": 1}
    assert copy.store.jobs.count_open() == {}
    assert copy.store.jobs.list(submitted)[0].state == DISOWNED
    for run in (submitted, waiting):
        own = copy.store.jobs.open(run, "slurm")
        assert own is not None
        assert own.id.startswith(f"lab-{run}-{own.attempt}-")
    later = original.store.jobs.open(waiting, "slurm")
    assert later is not None
    assert later.id == f"lab-{waiting}-1"


def test_a_lab_whose_home_was_moved_or_whose_database_was_changed_keeps_its_jobs(original: Lab, tmp_path: Path) -> None:
    for settings, home in (
        (open_lab(tmp_path / "original", LAB_DATABASE=f"sqlite:///{tmp_path / 'new.db'}").settings, "original"),
        (open_lab(tmp_path / "original").settings, "moved"),
    ):
        write_pid_file(supervisor_pid_path(original.settings), Owner.of_this_process(), settings)
        (tmp_path / "original").rename(tmp_path / home)
        former = module.read_pid_file(tmp_path / home / "supervisor.json")
        assert former is not None
        assert not former.is_of_original(open_lab(tmp_path / home).settings)
