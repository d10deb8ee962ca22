"""Commands that wait for workers which cannot start: they say why in one sentence and end, with real processes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.failures import failing_path
from lab.worker.supervisor.launch import start_supervisor
from lab.worker.supervisor.pid_files import read_pid_file, supervisor_pid_path
from tests.processes import end_workers
from tests.sweeps.sweep_runs import BASE, LR
from tests.waiting import LIMIT_S, wait_until

pytestmark = pytest.mark.long

_TRAIN = ["train", "--dataset", "digits", "--arch", "lenet5", "--epochs", "1", "--device", "cpu"]
_TORCH = {
    "a missing library": "raise ImportError('libx.so: cannot open shared object file')",
    "killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "a failing import": "def f():\n    return 1 / 0\nf()",
}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    end_workers(tmp_path / "home")


def _call(home: Path, *words: str, before: str = "", **environment: str) -> tuple[int, str, str]:
    """Return exit code, standard output and standard error of a command. before: a shell command run first."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    command = f"{before}\nexec {shlex.join([sys.executable, '-m', 'lab', *words])}"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=CHECKOUT,
        env={**outer, "LAB_HOME": str(home), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def _false_torch(tmp_path: Path, code: str) -> str:
    """Return a folder in which `import torch` runs this code instead."""
    (tmp_path / "false" / "torch").mkdir(parents=True)
    (tmp_path / "false" / "torch" / "__init__.py").write_text(code)
    return str(tmp_path / "false")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("a missing library", "ImportError: libx.so: cannot open shared object file"),
        ("killed", "killed by SIGKILL, often for lack of memory"),
        ("a failing import", "ZeroDivisionError: division by zero"),
    ],
)
def test_train_says_why_no_worker_can_start_and_leaves_its_run_in_the_queue(
    home: Path, tmp_path: Path, how: str, reason: str
) -> None:
    code, out, err = _call(home, *_TRAIN, PYTHONPATH=_false_torch(tmp_path, _TORCH[how]))
    log = home / "logs" / "worker.log"
    assert (code, out) == (1, "")
    assert err == (
        f"Error: No worker can start on this machine ({reason}): see {log}, remove the cause and repeat the command; "
        "until then, runs stay in the queue.\n"
    )
    lab = Lab(Settings.from_env({"LAB_HOME": str(home)}))
    (waiting,) = lab.machines.show().waiting
    assert (waiting.run.state, waiting.why) == (
        RunState.QUEUED,
        f"workers end as soon as they start ({reason}): see {log}",
    )
    code, out, err = _call(home, *_TRAIN)  # the cause is removed, so the same command trains the waiting run
    assert (code, err) == (0, "")
    assert f"Run {waiting.run.id} is finished." in out
    assert not failing_path(lab.settings).exists()


def test_a_memory_limit_below_what_torch_needs_is_named(home: Path) -> None:
    code, _, err = _call(home, *_TRAIN, before="ulimit -v 1000000")
    assert code == 1
    assert re.search(r"\(\w+Error: .*, with memory limited to 1.02 GB by `ulimit -v`\): see ", err), err


def test_train_names_a_suspended_supervisor_and_its_run_stays_in_the_queue(home: Path) -> None:
    settings = Settings.from_env({"LAB_HOME": str(home)})
    assert start_supervisor(settings, warm=False)
    wait_until(lambda: read_pid_file(supervisor_pid_path(settings)) is not None)
    running = read_pid_file(supervisor_pid_path(settings))
    assert running is not None
    pid = running.owner.pid
    os.kill(pid, signal.SIGSTOP)
    why = (
        f"the supervisor, process {pid}, is suspended and holds {home}/supervisor.lock: continue it with `kill -CONT "
        f"{pid}`, or end it with `kill -KILL {pid}`"
    )
    assert _call(home, *_TRAIN) == (1, "", f"Error: No worker can start: {why}. Until then, runs stay in the queue.\n")
    (waiting,) = Lab(settings).machines.show().waiting
    assert (waiting.run.state, waiting.why) == (RunState.QUEUED, why)
    assert _call(home, "worker") == (1, "", f"Error: No worker can start: {why}.\n")
    os.kill(pid, signal.SIGCONT)
    code, out, err = _call(home, *_TRAIN)
    assert (code, err) == (0, "")
    assert f"Run {waiting.run.id} is finished." in out


def test_a_sweep_that_is_waited_for_says_so_too(home: Path, tmp_path: Path) -> None:
    false = _false_torch(tmp_path, _TORCH["a missing library"])
    spec = tmp_path / "spec.json"
    spec.write_text(
        json.dumps({"name": "s", "base": BASE, "space": LR, "method": "random", "trials": 2, "minutes": None})
    )
    code, _, err = _call(home, "sweep", "create", str(spec), "--wait", PYTHONPATH=false)
    assert code == 1
    assert "Error: No worker can start on this machine (ImportError: libx.so:" in err, err
