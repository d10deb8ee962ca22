"""What a benchmark has started ends with it: at the end of its block, and also if it is killed or terminated."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks.guard import guarded
from lab.runs.owner import Owner
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.pid_files import supervisor_pid_path, write_pid_file
from tests.processes import idle_process
from tests.waiting import LIMIT_S, wait_until

_BENCHMARK = """
import signal, sys, time
from pathlib import Path
from benchmarks.guard import guarded
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # it is ignored if the tests were started with nohup
with guarded(Path(sys.argv[1]), ["tail", "-f", sys.argv[2]]):
    print("ready", flush=True)
    time.sleep(86_400)
"""


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that the pid file of the home names as its supervisor."""
    settings = Settings.from_env({"LAB_HOME": str(tmp_path)})
    with idle_process() as process:
        write_pid_file(supervisor_pid_path(settings), Owner.of_process(process.pid), settings)
        yield process


def _servers(place: Path) -> list[psutil.Process]:
    """Return the processes that the guard has started, by the file that they follow."""
    return [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["tail", "-f", str(place)]]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_a_benchmark_that_is_killed_leaves_neither_server_nor_supervisor(
    tmp_path: Path, supervisor: "subprocess.Popen[bytes]", number: signal.Signals
) -> None:
    (tmp_path / "log").touch()
    with subprocess.Popen(
        [sys.executable, "-c", _BENCHMARK, str(tmp_path), str(tmp_path / "log")], cwd=CHECKOUT, stdout=subprocess.PIPE
    ) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"ready\n"
        wait_until(lambda: bool(_servers(tmp_path / "log")))
        benchmark.send_signal(number)
        assert benchmark.wait(LIMIT_S) == -number
    wait_until(lambda: not _servers(tmp_path / "log"))
    assert supervisor.wait(LIMIT_S) == -signal.SIGTERM


def test_a_block_that_ends_has_ended_both(tmp_path: Path, supervisor: "subprocess.Popen[bytes]") -> None:
    (tmp_path / "log").touch()
    with guarded(tmp_path, ["tail", "-f", str(tmp_path / "log")]):
        wait_until(lambda: bool(_servers(tmp_path / "log")))
        assert supervisor.poll() is None
    assert not _servers(tmp_path / "log")
    assert supervisor.wait(LIMIT_S) == -signal.SIGTERM
