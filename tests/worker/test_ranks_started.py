"""How a worker starts, watches and lets go the other ranks of a run, with stand-ins for the processes and for their meeting."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
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
    """A process that ends when it is let go: a stand-in for `subprocess.Popen`. stays: it has to be killed."""

    started: ClassVar[list["Rank"]] = []
    stays = False

    def __init__(self, words: list[str], *, stdin: int, env: dict[str, str]) -> None:
        self.args, self.environment, self.got = words, env, list[object]()
        self.stdin = SimpleNamespace(write=self.got.append, flush=lambda: None, close=lambda: self.got.append("closed"))
        self.gone = threading.Event()
        Rank.started.append(self)

    def wait(self, timeout: float | None = None) -> int:
        if timeout is None:
            self.gone.wait(30.0)
            return 3
        self.got.append(timeout)
        if self.stays:
            raise subprocess.TimeoutExpired("rank", timeout)
        self.gone.set()
        return 0

    def kill(self) -> None:
        self.got.append("killed")
        self.gone.set()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """What was asked of the team, of the clock and of the process itself, in its order."""
    said: list[Any] = []

    class Steps:
        def end(self) -> None:
            said.append("end of the steps")

    def join(rank: int, size: int, meeting: Path, device: torch.device) -> Team:
        said.append((rank, size, meeting.name, str(device)))
        return Team(rank, size, None)

    def build(team: Team) -> Callable[..., Steps]:
        return lambda *arguments: said.append((team.size, *arguments)) or Steps()

    stand_in = SimpleNamespace(Popen=Rank, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(module, "subprocess", stand_in)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=lambda seconds: said.append(f"waits {seconds:g} s")))
    monkeypatch.setattr(module, "join_team", join)
    monkeypatch.setattr(module, "leave_team", lambda: said.append("left"))
    monkeypatch.setattr(module, "parallel_steps", build)
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 7)
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(module.os, "_exit", lambda code: said.append(f"exit {code}"))
    monkeypatch.setattr(Rank, "started", [])
    monkeypatch.setattr(Rank, "stays", False)
    return said


def _settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"LAB_HOME": str(tmp_path)})


def test_a_run_on_one_device_starts_nothing(said: list[Any], tmp_path: Path) -> None:
    with steps_on_devices(THREE.replace(devices=1), _settings(tmp_path), CPU) as steps:
        assert steps is StepKind.AUTO
    assert (said, Rank.started) == ([], [])


@pytest.mark.parametrize("stays", [False, True])
def test_the_other_ranks_are_told_the_run_where_to_meet_and_their_device_and_let_go_at_the_end(
    said: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    monkeypatch.setattr(Rank, "stays", stays)
    with steps_on_devices(THREE, _settings(tmp_path), CPU) as steps:
        assert callable(steps)
        steps("a", "b")
        assert said == [(0, 3, "meeting", "cpu"), (3, "a", "b")]
        meeting = Rank.started[0].args[4]
        for number, rank in enumerate(Rank.started, 1):
            assert rank.args == [sys.executable, "-m", "lab.worker.rank", str(number), meeting, "cpu"]
            assert (rank.environment["OMP_NUM_THREADS"], rank.environment["LAB_HOME"]) == ("2", str(tmp_path))
            assert [json.loads(line) for line in rank.got] == [THREE.as_dict()]  # type: ignore[arg-type]
            assert str(rank.got[0]).count("\\n") == 1
        assert Path(meeting).parent.is_dir()
        said.clear()
    assert said == ["end of the steps", "left"]
    assert len(Rank.started) == 2
    for rank in Rank.started:
        assert rank.got[1:] == ["closed", 20.0, *(["killed"] if stays else [])]
    assert not Path(meeting).parent.exists()


def test_a_training_that_took_no_step_lets_the_ranks_go_all_the_same(said: list[Any], tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="no"), steps_on_devices(THREE, _settings(tmp_path), CPU):
        raise DeviceError("no")
    assert said[1:] == ["left"]
    assert all(rank.got[1:] == ["closed", 20.0] for rank in Rank.started)


def test_a_lost_connection_waits_until_the_end_of_the_process_behind_it_is_noticed(
    said: list[Any], tmp_path: Path
) -> None:
    with (
        pytest.raises(RuntimeError, match="Connection reset"),
        steps_on_devices(THREE, _settings(tmp_path), CPU),
    ):
        raise RuntimeError("Connection reset by peer")
    assert said[1:] == ["waits 10 s", "left"]


@pytest.mark.parametrize("over", [False, True])
def test_a_rank_that_ends_before_its_time_ends_the_worker(
    said: list[Any], capfd: pytest.CaptureFixture[str], over: bool
) -> None:
    rank, ended = Rank(["rank"], stdin=0, env={}), threading.Event()
    rank.gone.set()
    if over:
        ended.set()
    module._watch(rank, ended)  # type: ignore[arg-type]
    assert said == ([] if over else [f"exit {LATER}"])
    assert ("exited early with code 3" in capfd.readouterr().err) is not over


def test_what_is_lost_when_the_ranks_are_let_go_is_said_and_they_are_ended(
    said: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    class Lost:
        def end(self) -> None:
            raise RuntimeError("Broken pipe")

    rank = Rank(["rank"], stdin=0, env={})
    module._end([rank], [Lost()])  # type: ignore[list-item]
    assert "a rank was lost after training ended: Broken pipe" in capfd.readouterr().err
    assert (rank.got, said) == (["closed", 20.0], ["left"])


@pytest.mark.parametrize(
    ("asked", "device", "words"),
    [
        (4, "cpu", ""),
        (5, "cpu", "devices is 5, but this machine has 4 cores: choose at most 4."),
        (2, "mps", "devices is 2, but this machine has 1 devices of mps: choose at most 1."),
        (2, "cuda", "devices is 2, but this machine has 0 GPUs: choose at most 0."),
    ],
)
def test_a_run_has_at_most_the_devices_that_there_are(
    said: list[Any], monkeypatch: pytest.MonkeyPatch, asked: int, device: str, words: str
) -> None:
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 0)
    if not words:
        check_devices(THREE.replace(devices=asked), torch.device(device))
        return
    with pytest.raises(DeviceError) as refused:
        check_devices(THREE.replace(devices=asked), torch.device(device))
    assert (str(refused.value), refused.value.field) == (words, "devices")


def test_ranks_take_the_gpus_after_the_first_around_the_end_and_all_the_same_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module.torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(module.torch.cuda, "current_device", lambda: 1)
    assert [str(device_of(rank, torch.device("cuda:2"))) for rank in range(3)] == ["cuda:2", "cuda:0", "cuda:1"]
    assert [str(device_of(rank, torch.device("cuda"))) for rank in range(3)] == ["cuda:1", "cuda:2", "cuda:0"]
    assert device_of(2, CPU) == CPU
