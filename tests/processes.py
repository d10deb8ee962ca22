"""Ends what a test's lab has started in the background, and gives tests a process that does nothing."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def idle_process() -> Iterator["subprocess.Popen[bytes]"]:
    """Give a process that lives until it is ended, at the latest here."""
    with subprocess.Popen(["sleep", "86400"]) as process:
        try:
            yield process
        finally:
            process.kill()


def end_workers(home: Path) -> None:
    """Kill the supervisor and the worker of one home, known by the home in their environment."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
            if f"LAB_HOME={home}".encode() in environment and b"lab." in command:
                os.kill(int(entry.name), signal.SIGKILL)
        except (OSError, ValueError):  # gone, or another user's
            continue


def end_processes_of(folder: Path) -> None:
    """Kill what a killed test has left running in its folder, known by the folder in its command or its environment."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes() + b"\0" + (entry / "environ").read_bytes()
            if f"{folder}/".encode() in words and int(entry.name) != os.getpid():
                os.kill(int(entry.name), signal.SIGKILL)
        except OSError:  # gone, or another user's
            continue
