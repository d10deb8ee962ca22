"""Kills what the lab of a test has started in the background, and starts an idle process for tests."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def idle_process(environment: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a process that runs until it is killed, at the latest here, named as a worker.

    environment: further variables.
    """
    variables = {**os.environ, **(environment or {})}
    with subprocess.Popen(["lab.worker", "86400"], executable=shutil.which("sleep"), env=variables) as process:
        try:
            yield process
        finally:
            process.kill()


def end_workers(home: Path) -> None:
    """Kill the supervisor and the workers of one home, identified by LAB_HOME in their environment."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
            if f"LAB_HOME={home}".encode() in environment and b"lab." in command:
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, ValueError):  # it has exited, or belongs to another user
            continue


def end_processes_of(folder: Path) -> None:
    """Kill the processes of a killed test, identified by the test's folder in their command or their environment."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
            if f"{folder}/".encode() in words and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # it has exited, or belongs to another user
            continue
