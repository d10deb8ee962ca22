"""How many workers a host needs, and how their supervisor is started."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from lab.runs.owner import Owner
from lab.settings import CHECKOUT
from lab.worker.supervisor import launch
from lab.worker.supervisor.launch import count_needed, has_work, needs_worker
from lab.worker.supervisor.pid_files import read_pid_file, starting_pid_path
from tests.runs.runs_data import submit
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
