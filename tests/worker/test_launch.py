"""How many workers a host needs, and how their supervisor is started."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from lab.runs.owner import Owner, is_suspended
from lab.settings import CHECKOUT
from lab.worker.supervisor import launch
from lab.worker.supervisor.launch import count_needed, has_work, needs_worker
from lab.worker.supervisor.pid_files import (
    read_pid_file,
    starting_pid_path,
    supervisor_pid_path,
    worker_pid_path,
    write_pid_file,
)
from tests.processes import idle_process
from tests.runs.runs_data import submit
from tests.waiting import LIMIT_S, wait_until
from tests.worker.worker_runs import open_lab


def test_workers_are_needed_for_queued_runs_and_those_that_this_host_trains(tmp_path: Path) -> None:
    lab = open_lab(tmp_path)
    store, me = lab.store, Owner.of_this_process()
    assert (count_needed(store), count_needed(store, warm=True)) == (0, 1)
    assert not has_work(store, lab.settings)
    for key in "abcd":
        submit(store, key)
    assert count_needed(store) == count_needed(store, warm=True) == 4
    store.leases.claim(slot="cpu", owner=me)
    store.leases.claim(slot="cpu", owner=replace(me, host="far"))
    assert count_needed(store) == 3  # one that is in training here, and two queued ones
    store.queue.stop_all()
    assert (needs_worker(store), count_needed(store), has_work(store, lab.settings)) == (False, 0, False)


def test_a_suspended_supervisor_with_other_settings_is_not_waited_for(tmp_path: Path) -> None:
    settings = open_lab(tmp_path / "home").settings
    with idle_process() as process, FileLock(launch.lock_path(settings)):
        owner = Owner.of_process(process.pid)
        write_pid_file(supervisor_pid_path(settings), owner, replace(settings, device="cuda"))
        assert launch.suspension(settings) == ""
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: is_suspended(owner))
        assert launch.suspension(settings).startswith(f"the supervisor, process {process.pid}, is suspended and holds ")
        launch.stop_mismatched_supervisor(settings)  # returns although the lock is still held
        process.send_signal(signal.SIGCONT)
        assert process.wait(LIMIT_S) == -signal.SIGTERM
        assert launch.suspension(settings) == ""


def test_a_home_reached_by_a_link_has_the_same_settings(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "home")
    here, linked, other = (open_lab(tmp_path / name).settings for name in ("home", "link", "other"))
    assert linked.home.name == "link"  # as given: on another machine, only the link may lead there
    for path, settings in ((supervisor_pid_path(here), here), (worker_pid_path(here), linked)):
        write_pid_file(path, Owner.of_this_process(), settings)
        found = read_pid_file(path)
        assert found is not None
        assert [found.matches(each) for each in (here, linked, other)] == [True, True, False]
        assert [found.is_of_lab(replace(each, slots=2)) for each in (here, linked, other)] == [True, True, False]
        assert not found.matches(replace(linked, database=f"sqlite:///{tmp_path}/other/lab.db"))
        assert not found.matches(replace(linked, data=tmp_path / "other"))


@pytest.mark.parametrize(("asked", "flags"), [({}, []), ({"warm": False}, []), ({"warm": True}, ["--warm"])])
def test_a_supervisor_is_started_with_the_labs_settings_and_warm_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, bool], flags: list[str]
) -> None:
    started: list[tuple[list[str], dict[str, Any]]] = []

    class Started:
        pid = os.getpid()

        def __init__(self, command: list[str], **options: Any) -> None:
            started.append((command, options))

        def wait(self) -> int:
            return 0

    settings = open_lab(tmp_path / "home").settings
    monkeypatch.setattr(launch, "subprocess", SimpleNamespace(Popen=Started, DEVNULL=-3))
    assert launch.start_supervisor(settings, **asked)
    ((command, options),) = started
    assert command == [sys.executable, "-m", "lab.worker.supervisor", *flags]
    assert options["env"].items() >= settings.environment().items()
    assert (options["cwd"], options["stdin"], options["start_new_session"]) == (CHECKOUT, -3, True)
    assert options["stdout"] is options["stderr"]
    starting = read_pid_file(starting_pid_path(settings))
    assert starting is not None
    assert starting.owner.pid == os.getpid()
    assert options["stdout"].name == str(launch.log_path(settings))
    with FileLock(launch.lock_path(settings)):
        assert not launch.start_supervisor(settings, **asked), "one is running"
    assert len(started) == 1
