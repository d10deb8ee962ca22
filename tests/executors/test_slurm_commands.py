"""Calls of Slurm's commands and how their output is read, with commands that record their arguments.

The cluster tests run a real Slurm.
"""

import stat
import sys
from pathlib import Path

import pytest

from lab.executors.base import SHOWN_LOG, ExecutorError, Job, JobState
from lab.executors.config import Executors, RayConfig, SlurmConfig
from lab.executors.ray import Ray
from lab.executors.registry import open_executors
from lab.executors.slurm import Slurm
from lab.settings import CHECKOUT, Settings

JOB = Job("lab-a-1", ["-m", "lab.worker", "--run", "a"], {"LAB_STORE": "postgresql://h/lab"})
# Prints the file of its last argument (a job number), or that of all jobs; fails with an error file if there is one.
_COMMAND = """#!/bin/sh
cat > "$0.input"
env > "$0.environment"
printf '%s\\n' "$@" > "$0.words"
for last; do :; done
number=${last#--jobs=}
for answer in "$0.$number" "$0.all"; do
    if [ -f "$answer.error" ]; then cat "$answer.error" >&2; exit 3; fi
    if [ -f "$answer" ]; then cat "$answer"; exit 0; fi
done
"""


class Commands:
    """Fake commands of Slurm in a folder, with their outputs and their recorded calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("squeue", "sbatch", "scontrol", "sacct", "scancel"):
            path = folder / name
            path.write_text(_COMMAND)
            path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def answer(self, command: str, text: str, *, job: str = "all", refused: bool = False) -> None:
        """Let a command print a text, or fail with it."""
        (self.folder / f"{command}.{job}{'.error' if refused else ''}").write_text(text)

    def asked(self, command: str) -> list[str] | None:
        """Return the arguments of the last call of a command, None if it was not called."""
        path = self.folder / f"{command}.words"
        return path.read_text().splitlines() if path.exists() else None

    def recorded(self, command: str, what: str) -> str:
        """Return the input or the environment of the last call of a command."""
        return (self.folder / f"{command}.{what}").read_text()


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return Commands(folder)


def _slurm(tmp_path: Path, config: SlurmConfig | None = None, home: str = "lab") -> Slurm:
    return Slurm(config or SlurmConfig(), Settings.from_env({"LAB_HOME": str(tmp_path / home)}))


def test_a_job_is_submitted_with_its_script_its_log_and_the_configured_options(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("SLURM_JOB_ID", "99")
    commands.answer("sbatch", "12;east\n")
    slurm = _slurm(tmp_path, SlurmConfig(options=("--partition=gpu", "--time=60")), home="50% lab")
    assert slurm.submit(JOB) == "12"
    assert commands.asked("squeue") == ["--me", "--noheader", "--name=lab-a-1", "--format=%i"]
    log = f"{tmp_path}/50%% lab/logs/jobs/lab-a-1.log"
    assert commands.asked("sbatch") == ["--parsable", f"--output={log}", "--partition=gpu", "--time=60"]
    assert commands.recorded("sbatch", "input") == slurm.script(JOB)
    environment = commands.recorded("sbatch", "environment").splitlines()
    assert "LAB_STORE=postgresql://h/lab" in environment
    assert [line for line in environment if line.startswith("SLURM_")] == ["SLURM_CONF=/etc/slurm.conf"]
    assert stat.S_IMODE((tmp_path / "50% lab" / "logs" / "jobs").stat().st_mode) == 0o700
    assert slurm.submit(JOB) == "12"  # the folder exists already


def test_a_job_that_slurm_already_knows_is_not_submitted_again(tmp_path: Path, commands: Commands) -> None:
    commands.answer("squeue", "7\n8\n")
    assert _slurm(tmp_path).submit(JOB) == "7"
    assert commands.asked("sbatch") is None


def test_output_without_a_job_number_is_an_error(tmp_path: Path, commands: Commands) -> None:
    commands.answer("sbatch", "Submitted batch job 3\n")
    with pytest.raises(ExecutorError, match=r"^sbatch printed 'Submitted batch job 3' instead of a job number\.$"):
        _slurm(tmp_path).submit(JOB)


def test_the_script_requests_the_configured_resources_and_starts_the_worker(tmp_path: Path) -> None:
    slurm = _slurm(tmp_path, SlurmConfig(cpus=3, warning_s=30, jobs=5))
    lines = slurm.script(JOB).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert {line for line in lines if line.startswith("#SBATCH")} == {
        "#SBATCH --job-name=lab-a-1",
        "#SBATCH --open-mode=append",
        "#SBATCH --requeue",
        "#SBATCH --signal=B:USR1@30",
        "#SBATCH --cpus-per-task=3",
    }
    assert {f"cd {CHECKOUT} || exit 1", "export OMP_NUM_THREADS=3"} <= set(lines)
    assert f"{sys.executable} -m lab.worker --run a &" in lines
    assert "#SBATCH --gpus=2" in _slurm(tmp_path, SlurmConfig(gpus=2)).script(JOB).splitlines()
    assert (slurm.capacity(), slurm.starts_again) == (5, True)


def test_states_of_jobs_are_read_from_the_queue_the_controller_and_the_accounting_in_turn(
    tmp_path: Path, commands: Commands
) -> None:
    commands.answer("squeue", "1|RUNNING|None\n2|PENDING|Resources\na line of something else\n9|RUNNING|None\n")
    commands.answer("scontrol", "JobId=3 JobName=x JobState=TIMEOUT Reason=TimeLimit Dependency=(null)\n", job="3")
    commands.answer("scontrol", "JobId=4 JobState=COMPLETED\n", job="4")
    commands.answer("scontrol", "slurm_load_jobs error: Invalid job id specified\n", refused=True)
    commands.answer("sacct", "CANCELLED by 1000\nCOMPLETED\n", job="5")
    commands.answer("sacct", "no accounting here\n", job="7", refused=True)
    found = _slurm(tmp_path).states(["1", "2", "3", "4", "5", "6", "7"])
    assert {number: (status.state, status.words) for number, status in found.items()} == {
        "1": (JobState.RUNNING, "RUNNING"),
        "2": (JobState.PENDING, "PENDING, Resources"),
        "3": (JobState.ENDED, "TIMEOUT, TimeLimit"),
        "4": (JobState.ENDED, "COMPLETED"),
        "5": (JobState.CANCELLED, "CANCELLED"),
        "6": (JobState.GONE, "unknown to Slurm"),
        "7": (JobState.GONE, "unknown to Slurm"),
    }
    assert commands.asked("squeue") == ["--me", "--noheader", "--states=all", "--format=%i|%T|%r"]
    assert commands.asked("scontrol") == ["show", "job", "--oneliner", "7"]
    assert commands.asked("sacct") == ["--noheader", "--allocations", "--parsable2", "--format=State", "--jobs=7"]


def test_an_unreachable_controller_is_an_error_and_not_the_end_of_a_job(tmp_path: Path, commands: Commands) -> None:
    commands.answer("scontrol", "Unable to contact\n  slurm controller\n", refused=True)
    with pytest.raises(ExecutorError, match=r"^scontrol refused: Unable to contact slurm controller$"):
        _slurm(tmp_path).states(["3"])
    assert commands.asked("sacct") is None


def test_without_jobs_no_command_is_called(tmp_path: Path, commands: Commands) -> None:
    assert _slurm(tmp_path).states([]) == {}
    assert commands.asked("squeue") is None


def test_a_job_is_cancelled_by_its_number_and_a_silent_refusal_is_reported_with_its_exit_code(
    tmp_path: Path, commands: Commands
) -> None:
    _slurm(tmp_path).cancel("12")
    assert commands.asked("scancel") == ["12"]
    commands.answer("scancel", "", refused=True)
    with pytest.raises(ExecutorError, match=r"^scancel refused: exit code 3$"):
        _slurm(tmp_path).cancel("12")


@pytest.mark.parametrize("text", ["short\n", "x" + "y" * SHOWN_LOG], ids=["short", "long"])
def test_the_end_of_the_log_of_a_job_is_read(tmp_path: Path, text: str) -> None:
    slurm, folder = _slurm(tmp_path), tmp_path / "lab" / "logs" / "jobs"
    assert slurm.logs("12", "lab-a-1") == ""
    folder.mkdir(parents=True)
    (folder / "lab-a-1.log").write_text(text)
    assert slurm.logs("12", "lab-a-1") == text[-SHOWN_LOG:]


def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lab" / "logs" / "jobs" / "lab-a-1.log").mkdir(parents=True)
    with pytest.raises(ExecutorError, match=r"^The log of job 12 cannot be read \(Is a directory\): check the file\.$"):
        _slurm(tmp_path).logs("12", "lab-a-1")


@pytest.mark.parametrize(
    ("state", "over"),
    [
        (JobState.PENDING, False),
        (JobState.RUNNING, False),
        (JobState.ENDED, True),
        (JobState.CANCELLED, True),
        (JobState.GONE, True),
    ],
)
def test_a_job_is_over_once_no_process_of_it_runs_or_will_run(state: JobState, over: bool) -> None:
    assert state.over is over


def test_each_executor_is_opened_with_its_own_section(tmp_path: Path) -> None:
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    both = Executors(slurm=SlurmConfig(jobs=3), ray=RayConfig("http://h:8265", jobs=5))
    opened = open_executors(both, settings)
    assert {name: (type(executor), executor.capacity()) for name, executor in opened.items()} == {
        "slurm": (Slurm, 3),
        "ray": (Ray, 5),
    }
    assert list(open_executors(Executors(ray=both.ray), settings)) == ["ray"]
    assert open_executors(Executors(), settings) == {}
