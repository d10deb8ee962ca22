"""Processes of a benchmark that end with it, also if it is killed: the lab's server, its supervisor and its workers.

`python -m benchmarks.guard HOME [COMMAND ...]` runs the command, and ends it and the supervisor of the home once its
standard input is closed. The benchmark holds the other end of that pipe, which the system closes however it ends. The
guard has a session of its own, so that neither Ctrl-C nor the end of the terminal reaches it.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.launch import END_S, is_running
from lab.worker.supervisor.pid_files import read_pid_file, supervisor_pid_path

_TERM_S = 20.0  # time for the server to end its connections
_POLL_S = 0.1


@contextmanager
def guarded(home: Path, command: Sequence[str] = (), *, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """Run a command, and end it and the supervisor of this home with the block or with this process.

    environment: variables in addition to those of this process.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.guard", str(home), *command],
        cwd=CHECKOUT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ):
        yield  # leaving the block closes the pipe and waits


@contextmanager
def guarded_server(home: Path, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Run the lab's server for this home and yield its port; it may not respond yet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with guarded(home, command, environment={**(environment or {}), "LAB_HOME": str(home)}):
        yield port


def main() -> None:
    """Run the command until standard input is closed, then end it and the supervisor of the home."""
    home, *command = sys.argv[1:]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL) if command else None
    closed = threading.Event()
    threading.Thread(target=_wait_for_the_end_of_input, args=(closed,), daemon=True).start()
    while not closed.wait(_POLL_S) and (process is None or process.poll() is None):
        pass
    if process is not None:
        _end(process)
    _end_supervisor(Path(home))


def _wait_for_the_end_of_input(closed: threading.Event) -> None:
    while os.read(0, 1):
        pass
    closed.set()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_TERM_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_supervisor(home: Path) -> None:
    """End the supervisor of a home and wait for it; otherwise a worker would stay warm for minutes."""
    settings = Settings.from_env({"LAB_HOME": str(home)})
    running = read_pid_file(supervisor_pid_path(settings))
    if running is None or not running.alive:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(running.owner.pid, signal.SIGTERM)
    end = time.monotonic() + END_S
    while is_running(settings) and time.monotonic() < end:
        time.sleep(_POLL_S)


if __name__ == "__main__":
    main()
