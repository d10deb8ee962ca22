"""Slots: how many, on which devices, with how many threads; and that a supervisor runs at most one worker in each."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.errors import ConfigError, ReadOnlyError
from lab.runs.owner import process_start, this_host
from lab.service.lab import Lab
from lab.settings import PROCESS_ENVIRONMENT, Settings
from lab.worker.supervisor import process as module
from lab.worker.supervisor import slots as slots_module
from lab.worker.supervisor.adopted import find_workers
from lab.worker.supervisor.launch import LEAVE, stop_mismatched_supervisor
from lab.worker.supervisor.pid_files import list_worker_pid_files, worker_pid_path
from lab.worker.supervisor.process import SlotWorker, Supervisor
from lab.worker.supervisor.slots import (
    Slot,
    count_cores,
    count_gpus,
    count_slots,
    count_visible,
    plan_slots,
    read_slot,
    slots_path,
    store_slots,
    worker_environment,
)
from tests.worker.worker_runs import SMALL, open_lab

TIMEOUT_S = 120.0
_FAKE_WORKER = """#!{python}
import os, signal, sys, time
from pathlib import Path
folder = Path({folder!r})
name = (sys.argv[3] if len(sys.argv) > 3 else "1/1").replace("/", " of ")
signal.signal(signal.SIGUSR1, lambda *_: sys.exit(0))
written = folder.parent / str(os.getpid())
written.write_text(os.environ.get("OMP_NUM_THREADS", ""))
written.rename(folder / (name + " " + written.name))
time.sleep(86_400)
"""


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_the_only_slot_of_a_host_is_that_of_earlier_releases() -> None:
    (slot,) = plan_slots("auto", 1)
    assert slot == Slot()
    assert (slot.name("cpu"), slot.arguments(), slot.environment()) == ("cpu", [], {})


def test_slots_on_a_cpu_share_its_cores_and_have_distinct_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = count_cores({})
    slots = plan_slots("cpu", 2)
    assert [slot.name("cpu") for slot in slots] == ["cpu", "cpu #2"]
    assert [slot.environment() for slot in slots] == [{"OMP_NUM_THREADS": str(max(1, cores // 2))}] * 2
    assert {slot.threads for slot in plan_slots("cpu", cores + 1)} == {1}


def test_a_lower_number_of_threads_in_the_environment_is_used() -> None:
    assert count_cores({"OMP_NUM_THREADS": "1"}) == 1
    assert count_cores({"OMP_NUM_THREADS": "many"}) == count_cores({}) == count_cores({"OMP_NUM_THREADS": "100000"})


def test_slots_are_spread_over_the_gpus_and_then_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "count_gpus", lambda _env: 2)
    slots = plan_slots("auto", 3)
    assert [slot.device for slot in slots] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [slot.name(slot.device) for slot in slots] == ["cuda:0", "cuda:1", "cuda:0 #2"]
    assert {slot.device for slot in plan_slots("cuda:1", 3)} == {"cuda:1"}
    assert [slot.device for slot in plan_slots(" CUDA ", 2)] == ["cuda:0", "cuda:1"]
    assert [slot.device for slot in plan_slots("auto", 1)] == ["auto"]
    assert count_slots(Settings.from_env({"LAB_HOME": "/nowhere"})) == 2
    assert count_slots(Settings.from_env({"LAB_HOME": "/nowhere", "LAB_DEVICE": "cpu"})) == 1


@pytest.mark.parametrize("gpus", [0, 1])
def test_with_at_most_one_gpu_every_slot_has_the_device_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, gpus: int
) -> None:
    monkeypatch.setattr(slots_module, "count_gpus", lambda _env: gpus)
    assert [(slot.device, slot.share) for slot in plan_slots("auto", 2)] == [("auto", 1), ("auto", 2)]
    assert [slots_module.likely_device(name) for name in (" CPU ", "cuda:3")] == ["cpu", "cuda:3"]


@pytest.mark.parametrize(
    ("listed", "visible"), [(None, 4), ("", 0), ("0,2", 2), ("3,-1,2", 1), ("-1", 0), ("0,1,2,3,4,5", 4), ("GPU-6a", 1)]
)
def test_only_the_gpus_listed_in_cuda_visible_devices_are_counted(listed: str | None, visible: int) -> None:
    assert count_visible(4, listed) == visible


@pytest.mark.parametrize(("files", "gpus"), [(("dxg", "libcuda.so.1"), 1), (("dxg",), 0), ((), 0)])
def test_in_wsl_the_gpu_is_found_by_windows_driver(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: tuple[str, ...], gpus: int
) -> None:
    """WSL has one device file for all GPUs, /dev/dxg, also for those of other makers."""
    monkeypatch.setattr(slots_module, "_has_cpu_torch", lambda: False)
    monkeypatch.setattr(slots_module, "_WSL_DRIVER", (tmp_path / "dxg", tmp_path / "libcuda.so.1"))
    for name in files:
        (tmp_path / name).touch()
    if list(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has NVIDIA's device files, which come first")
    assert count_gpus({}) == gpus
    assert count_gpus({"CUDA_VISIBLE_DEVICES": ""}) == 0


def test_a_worker_reads_its_slot_from_its_place() -> None:
    for slot in plan_slots("cpu", 4):
        assert read_slot(slot.arguments()[0], "cpu") == slot
    for wrong in ("0/2", "3/2", "2", "a/b", "1/65", ""):
        with pytest.raises(ConfigError, match="must be a place among all slots, such as 2/4"):
            read_slot(wrong, "cpu")


def test_slots_are_set_by_the_environment_else_the_stored_number_else_the_devices(tmp_path: Path) -> None:
    environment = {"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cpu"}
    settings = Settings.from_env(environment)
    assert count_slots(settings) == 1
    store_slots(settings, 3)
    assert count_slots(settings) == 3
    fixed = Settings.from_env({**environment, "LAB_SLOTS": "2"})
    assert count_slots(fixed) == 2
    with pytest.raises(ConfigError, match="LAB_SLOTS is set to 2 and takes precedence"):
        store_slots(fixed, 4)
    for wrong in (0, 65):
        with pytest.raises(ConfigError, match=f"is {wrong}, but it must be from 1 to 64"):
            store_slots(settings, wrong)
    with pytest.raises(ReadOnlyError, match="read-only"):
        store_slots(Settings.from_env({**environment, "LAB_READ_ONLY": "1"}), 2)
    for invalid in ("", "x", "0", "65", "\N{SUPERSCRIPT TWO}"):
        slots_path(settings).write_text(invalid, encoding="utf-8")
        assert count_slots(settings) == 1


@pytest.mark.parametrize("text", ["0", "-1", "65", "two", "1.5", "\N{SUPERSCRIPT TWO}"])
def test_an_invalid_number_of_slots_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"LAB_SLOTS is .* whole number from 1 to 64"):
        Settings.from_env({"LAB_SLOTS": text})


# -- the supervisor ----------------------------------------------------------------------------------------------------


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab with five queued runs, whose workers are fake processes that run until they are asked to leave."""
    monkeypatch.setattr(module, "POLL_S", 0.02)
    lab = open_lab(tmp_path / "home", LAB_DEVICE="cpu")
    for seed in range(5):
        lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=seed)))
    folder, script = tmp_path / "started", tmp_path / "script"
    folder.mkdir()
    script.write_text(_FAKE_WORKER.format(python=sys.executable, folder=str(folder)))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    return lab


@pytest.fixture
def supervise(lab: Lab) -> Iterator[Callable[[], Supervisor]]:
    """Return a function that runs a supervisor of the lab in a thread; all end after the test."""
    supervisors: list[tuple[Supervisor, threading.Thread]] = []

    def start() -> Supervisor:
        supervisor = Supervisor(lab.settings)
        thread = threading.Thread(target=supervisor.run, args=(lab.store,), daemon=True)
        thread.start()
        supervisors.append((supervisor, thread))
        return supervisor

    yield start
    for supervisor, thread in supervisors:
        supervisor.end(signal.SIGTERM, None)
        thread.join(TIMEOUT_S)


def _alive(tmp_path: Path) -> dict[int, str]:
    """Return the fake workers that are alive: process id -> slot."""
    names = [path.name.rpartition(" ") for path in (tmp_path / "started").iterdir()]
    return {int(pid): slot for slot, _, pid in names if process_start(int(pid)) is not None}


def _wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S} s"
        time.sleep(0.02)


def test_each_slot_gets_a_worker_with_its_share_of_threads_and_a_killed_one_is_replaced(
    lab: Lab, tmp_path: Path, supervise: Callable[[], Supervisor]
) -> None:
    store_slots(lab.settings, 3)
    supervise()
    _wait_until(lambda: sorted(_alive(tmp_path).values()) == ["1 of 3", "2 of 3", "3 of 3"])
    time.sleep(0.3)  # five runs are queued, and there are three slots
    assert len(_alive(tmp_path)) == 3
    threads = {path.read_text() for path in (tmp_path / "started").iterdir()}
    assert threads == {str(max(1, count_cores(os.environ) // 3))}
    (second,) = (pid for pid, slot in _alive(tmp_path).items() if slot == "2 of 3")
    os.kill(second, signal.SIGKILL)
    _wait_until(lambda: second not in _alive(tmp_path) and len(_alive(tmp_path)) == 3)
    assert sorted(_alive(tmp_path).values()) == ["1 of 3", "2 of 3", "3 of 3"]


def test_no_more_workers_are_started_than_there_are_runs(
    lab: Lab, tmp_path: Path, supervise: Callable[[], Supervisor]
) -> None:
    lab.store.queue.stop_all()
    lab.submissions.submit(lab.validation.resolve(SMALL.replace(seed=9)))
    store_slots(lab.settings, 3)
    supervise()
    _wait_until(lambda: len(_alive(tmp_path)) == 1)
    time.sleep(0.3)
    assert list(_alive(tmp_path).values()) == ["1 of 3"]


def test_another_number_of_slots_ends_workers_and_starts_others(
    lab: Lab, tmp_path: Path, supervise: Callable[[], Supervisor]
) -> None:
    """Also the first worker: in the only slot it has all cores."""
    store_slots(lab.settings, 2)
    supervise()
    _wait_until(lambda: len(_alive(tmp_path)) == 2)
    store_slots(lab.settings, 1)
    _wait_until(lambda: list(_alive(tmp_path).values()) == ["1 of 1"])
    store_slots(lab.settings, 2)
    _wait_until(lambda: sorted(_alive(tmp_path).values()) == ["1 of 2", "2 of 2"])


def test_the_next_supervisor_adopts_the_workers_of_all_slots_and_starts_no_others(lab: Lab, tmp_path: Path) -> None:
    store_slots(lab.settings, 2)
    first = Supervisor(lab.settings)  # which takes one step and no more
    first._step(lab.store)
    _wait_until(lambda: len(_alive(tmp_path)) == 2)
    assert {running.slot for running in list_worker_pid_files(lab.settings)} == set(plan_slots("cpu", 2))
    before = _alive(tmp_path)
    adopted = {slot.index: SlotWorker(worker, slot) for slot, worker in find_workers(lab.settings)}
    assert sorted(adopted) == [0, 1]
    second = Supervisor(lab.settings, workers=adopted)
    second._step(lab.store)
    assert _alive(tmp_path) == before
    second.ending.set()
    second.run(lab.store)
    assert not _alive(tmp_path)
    assert [worker.process.wait(TIMEOUT_S) for worker in first.workers.values()] == [-signal.SIGTERM] * 2


def test_a_pid_file_of_an_earlier_release_is_that_of_the_only_slot(tmp_path: Path) -> None:
    """It has no slot: its supervisor is not stopped for that, and its worker is adopted, but gets no new signal."""
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    old = {name: value for name, value in settings.environment().items() if name != "LAB_SLOTS"}
    pid_file = {"pid": os.getpid(), "pid_start": process_start(os.getpid()), "host": this_host(), "settings": old}
    worker_pid_path(settings).write_text(json.dumps(pid_file))
    ((slot, worker),) = find_workers(settings)
    assert slot == Slot()
    assert worker.poll() is None
    worker.send_signal(LEAVE)  # which would end this process
    (tmp_path / "supervisor.json").write_text(json.dumps(pid_file))
    stop_mismatched_supervisor(settings)  # this process would have ended


def test_a_workers_environment_is_set_by_the_lab_else_the_slot_else_the_outer_environment(tmp_path: Path) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cpu"})
    outer = {"LAB_HOME": "/elsewhere", "OMP_NUM_THREADS": "64", "OMP_WAIT_POLICY": "ACTIVE", "PATH": "/bin"}
    found = worker_environment(Slot(index=1, count=2, threads=3), settings, outer)
    assert found["LAB_HOME"] == str(tmp_path)
    assert found["OMP_NUM_THREADS"] == "3"
    assert found["OMP_WAIT_POLICY"] == "ACTIVE"  # the lab's values are defaults
    assert found["PATH"] == "/bin"
    assert found.keys() > PROCESS_ENVIRONMENT.keys()
    assert worker_environment(Slot(), settings, outer)["OMP_NUM_THREADS"] == "64"


def test_a_number_of_slots_stored_by_an_earlier_release_is_read(tmp_path: Path) -> None:
    """Tested with a literal file name and text, because written and read by the same code any name would pass."""
    settings = Settings.from_env({"LAB_HOME": str(tmp_path), "LAB_DEVICE": "cpu"})
    (tmp_path / "slots").write_text("3")
    assert count_slots(settings) == 3
    store_slots(settings, 5)
    assert (tmp_path / "slots").read_text().strip() == "5"
