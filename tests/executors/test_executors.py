"""The configuration of the executors, and Slurm's script and states; the cluster tests run a real Slurm."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab.errors import ConfigError
from lab.executors.base import ExecutorError, Job
from lab.executors.config import Executors, RayConfig, SlurmConfig, list_executors, read_executors
from lab.executors.slurm import Slurm
from lab.settings import Settings


def _settings(home: Path, text: str | None = None) -> Settings:
    if text is not None:
        (home / "executors.toml").write_text(text)
    return Settings.from_env({"LAB_HOME": str(home)})


def test_a_lab_without_the_file_has_only_its_own_slots(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert read_executors(settings) == Executors()
    assert Executors().check("local") == Executors().check("") == ""
    with pytest.raises(ConfigError, match=r"This lab has no Slurm: add a section \[slurm\] to executors.toml"):
        Executors().check("slurm")
    with pytest.raises(ConfigError, match=r"no executor 'slrum'\. Did you mean 'slurm'"):
        Executors().check("slrum")


def test_the_file_configures_executors_and_the_resources_of_a_job(tmp_path: Path) -> None:
    found = read_executors(
        _settings(
            tmp_path,
            '[slurm]\noptions = ["--partition=gpu"]\ngpus = 1\njobs = 8\n'
            '[ray]\naddress = "http://h:8265"\ntoken = "t"\n',
        )
    )
    assert found.slurm == SlurmConfig(options=("--partition=gpu",), gpus=1, jobs=8)
    assert found.ray == RayConfig("http://h:8265", token="t")
    assert found.ids == ("slurm", "ray")
    assert (found.most_jobs("slurm"), found.most_jobs("ray"), Executors().most_jobs("slurm")) == (8, 10_000, 0)
    assert (Executors(ray=found.ray).most_jobs("slurm"), Executors(slurm=found.slurm).most_jobs("ray")) == (0, 0)
    assert Executors(ray=RayConfig("http://h:8265", jobs=3)).most_jobs("ray") == 3


@pytest.mark.parametrize("text", ["[slurm]\ncpus = 0", "[slurm"])
def test_an_invalid_file_configures_no_executor(tmp_path: Path, text: str) -> None:
    settings = _settings(tmp_path, text)
    with pytest.raises(ConfigError, match=r"executors\.toml"):
        read_executors(settings)
    assert list_executors(settings) == ()


def test_a_machine_without_the_commands_of_slurm_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ExecutorError, match="squeue is not on this machine: start the lab where Slurm's commands are installed"
    ):
        Slurm(SlurmConfig(), _settings(tmp_path)).states(["1"])


def test_a_command_that_does_not_respond_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(tmp_path / "squeue", "#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("lab.executors.slurm.COMMAND_S", 0.3)
    with pytest.raises(ExecutorError, match="squeue did not respond within 0 s"):
        Slurm(SlurmConfig(), _settings(tmp_path)).submit(Job("lab-a-1", []))


_WORKER = """#!{python}
import signal, sys, time
for number in (signal.SIGUSR1, signal.SIGTERM):
    signal.signal(number, lambda number, _: (print(signal.Signals(number).name, flush=True), sys.exit({code})))
print("ready", flush=True)
time.sleep(86_400)
"""


@pytest.mark.parametrize(
    ("number", "code", "requeued"),
    [
        (signal.SIGUSR1, 75, True),
        (signal.SIGUSR2, 75, True),
        (signal.SIGTERM, 75, False),
        (signal.SIGHUP, 75, False),
        (signal.SIGUSR1, 0, False),
    ],
)
def test_the_script_forwards_signals_and_requeues_the_job_only_before_the_time_limit(
    tmp_path: Path, number: signal.Signals, code: int, requeued: bool
) -> None:
    worker = tmp_path / "worker"
    _program(worker, _WORKER.format(python=sys.executable, code=code))
    _program(tmp_path / "scontrol", f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    job = Job("lab-a-1", ["-m", "lab.worker", "--run", "a"])
    script = Slurm(SlurmConfig(python=str(worker), gpus=2), _settings(tmp_path)).script(job)
    assert "#SBATCH --signal=B:USR1@120\n" in script
    assert "#SBATCH --gpus=2\n" in script
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "12"}
    # HUP is reset in case these tests run under nohup: a shell cannot trap a signal that was ignored when it started.
    command = ["env", "--default-signal=HUP", "bash", "-c", script]
    shell = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert shell.stdout is not None
    assert shell.stdout.readline() == "ready\n"
    shell.send_signal(number)
    out, _ = shell.communicate(timeout=120)
    assert shell.returncode == code
    assert out == ("SIGUSR1\n" if number in (signal.SIGUSR1, signal.SIGUSR2) else "SIGTERM\n")
    asked = tmp_path / "asked"
    assert (asked.read_text() if asked.exists() else "") == ("requeue 12\n" if requeued else "")


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
