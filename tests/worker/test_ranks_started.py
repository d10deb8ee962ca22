"""How a worker starts, watches and ends the other ranks of a run, with fakes for the processes and their rendezvous."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from lab.config import RunConfig
from lab.errors import DeviceError
from lab.settings import Settings
from lab.training.step_choice import StepKind
from lab.training.team import Team
from lab.worker import ranks as module
from lab.worker.exit_codes import LATER
from lab.worker.ranks import check_devices, device_of, steps_on_devices

CPU = torch.device("cpu")
THREE = RunConfig(dataset="digits", devices=3, device="cpu")


class Rank:
    """A fake `subprocess.Popen` that exits when it is waited for. stays: it has to be killed."""

    started: ClassVar[list["Rank"]] = []
    stays = False

    def __init__(self, arguments: list[str], *, stdin: int, env: dict[str, str]) -> None:
        self.args, self.environment, self.received = arguments, env, list[object]()
        self.stdin = SimpleNamespace(
            write=self.received.append, flush=lambda: None, close=lambda: self.received.append("closed")
        )
        self.exited = threading.Event()
        Rank.started.append(self)

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            self.exited.wait(30.0)
            return 3
        self.received.append(timeout)
        if self.stays:
            raise subprocess.TimeoutExpired("rank", timeout)
        self.exited.set()
        return 0

    def kill(self) -> None:
        self.received.append("killed")
        self.exited.set()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The calls to the team, the clock and the process itself, in order."""
    calls: list[Any] = []

    class Steps:
        def end(self) -> None:
            calls.append("end of the steps")

    def join(rank: int, size: int, meeting: Path, device: torch.device) -> Team:
        calls.append((rank, size, meeting.name, str(device)))
        return Team(rank, size, None)

    def build(team: Team, *arguments: Any) -> Steps:
        calls.append((team.size, *arguments))
        return Steps()

    fake = SimpleNamespace(Popen=Rank, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(module, "subprocess", fake)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: calls.append(f"waits {seconds:g} s")))
    monkeypatch.setattr(module, "join_team", join)
    monkeypatch.setattr(module, "leave_team", lambda: calls.append("left"))
    monkeypatch.setattr(module, "ParallelSteps", build)
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(module.os, "_exit", lambda code: calls.append(f"exit {code}"))
    monkeypatch.setattr(Rank, "started", [])
    monkeypatch.setattr(Rank, "stays", False)
    return calls


def _settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"LAB_HOME": str(tmp_path)})


def test_a_run_on_one_device_starts_no_ranks(calls: list[Any], tmp_path: Path) -> None:
    with steps_on_devices(THREE.replace(devices=1), _settings(tmp_path), CPU) as steps:
        assert steps is StepKind.AUTO
    assert (calls, Rank.started) == ([], [])


@pytest.mark.parametrize("stays", [False, True])
def test_ranks_get_the_configuration_the_meeting_file_and_their_device_and_are_ended(
    calls: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    monkeypatch.setattr(Rank, "stays", stays)
    with steps_on_devices(THREE, _settings(tmp_path), CPU) as steps:
        assert callable(steps)
        steps("a", "b")
        assert calls == [(0, 3, "meeting", "cpu"), (3, "a", "b")]
        meeting = Rank.started[0].args[4]
        for number, rank in enumerate(Rank.started, 1):
            assert rank.args == [sys.executable, "-m", "lab.worker.rank", str(number), meeting, "cpu"]
            assert (rank.environment["OMP_NUM_THREADS"], rank.environment["LAB_HOME"]) == ("2", str(tmp_path))
            assert [json.loads(line) for line in rank.received] == [THREE.as_dict()]  # type: ignore[arg-type]
            assert str(rank.received[0]).count("\\n") == 1
        assert Path(meeting).parent.is_dir()
        calls.clear()
    assert calls == ["end of the steps", "left"]
    assert len(Rank.started) == 2
    for rank in Rank.started:
        assert rank.received[1:] == ["closed", 20.0, *(["killed"] if stays else [])]
    assert not Path(meeting).parent.exists()


def test_ranks_are_ended_after_a_training_that_took_no_step(calls: list[Any], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no"), steps_on_devices(THREE, _settings(tmp_path), CPU):
        raise DeviceError("no")
    assert calls[1:] == ["left"]
    assert all(rank.received[1:] == ["closed", 20.0] for rank in Rank.started)


def test_after_a_lost_connection_the_worker_waits_for_the_exit_of_its_rank_to_be_noticed(
    calls: list[Any], tmp_path: Path
) -> None:
    with (
        pytest.raises(RuntimeError, match="Connection reset"),
        steps_on_devices(THREE, _settings(tmp_path), CPU),
    ):
        raise RuntimeError("Connection reset by peer")
    assert calls[1:] == ["waits 10 s", "left"]


@pytest.mark.parametrize("over", [False, True])
def test_a_rank_that_exits_early_ends_the_worker(
    calls: list[Any], capfd: pytest.CaptureFixture[str], over: bool
) -> None:
    rank, ended = Rank(["rank"], stdin=0, env={}), threading.Event()
    rank.exited.set()
    if over:
        ended.set()
    module._watch(rank, ended)  # type: ignore[arg-type]
    assert calls == ([] if over else [f"exit {LATER}"])
    assert ("exited early with code 3" in capfd.readouterr().err) is not over


def test_a_connection_lost_after_training_is_logged_and_the_ranks_are_ended(
    calls: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    class Lost:
        def end(self) -> None:
            raise RuntimeError("Broken pipe")

    rank = Rank(["rank"], stdin=0, env={})
    module._end([rank], [Lost()])  # type: ignore[list-item]
    assert "a rank was lost after training ended: Broken pipe" in capfd.readouterr().err
    assert (rank.received, calls) == (["closed", 20.0], ["left"])


@pytest.mark.parametrize(
    ("devices", "device", "message"),
    [
        (4, "cpu", ""),
        (5, "cpu", "devices is 5, but this machine has 4 cores: choose at most 4."),
        (2, "mps", "devices is 2, but this machine has 1 devices of mps: choose at most 1."),
        (2, "cuda", "devices is 2, but this machine has 0 GPUs: choose at most 0."),
    ],
)
def test_a_run_cannot_request_more_devices_than_the_machine_has(
    calls: list[Any], monkeypatch: pytest.MonkeyPatch, devices: int, device: str, message: str
) -> None:
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 0)
    if not message:
        check_devices(THREE.replace(devices=devices), torch.device(device))
        return
    with pytest.raises(DeviceError) as refused:
        check_devices(THREE.replace(devices=devices), torch.device(device))
    assert (str(refused.value), refused.value.field) == (message, "devices")


def test_ranks_take_the_gpus_from_the_first_on_wrapping_around_or_share_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(module.torch.cuda, "current_device", lambda: 1)
    assert [str(device_of(rank, torch.device("cuda:2"))) for rank in range(3)] == ["cuda:2", "cuda:0", "cuda:1"]
    assert [str(device_of(rank, torch.device("cuda"))) for rank in range(3)] == ["cuda:1", "cuda:2", "cuda:0"]
    assert device_of(2, CPU) == CPU
