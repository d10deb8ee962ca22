"""The owner of a run: a process, identified by host, process id and start time.

The operating system reuses process ids; with the start time they are unique. Nothing here depends on the store.
"""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SCUTIL, _SCUTIL_S = "/usr/sbin/scutil", 5.0  # macOS' tool for its system configuration, and its time limit


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one host. `pid_start` identifies the boot and the time of the start, whatever the clock does."""

    host: str
    pid: int
    pid_start: str

    @classmethod
    def of_process(cls, pid: int) -> "Owner":
        """Return the identity of a process of this machine."""
        return cls(host=this_host(), pid=pid, pid_start=process_start(pid) or "")

    @classmethod
    def of_this_process(cls) -> "Owner":
        """Return the identity of the calling process."""
        return cls.of_process(os.getpid())


def this_host() -> str:
    """Return the name of this machine and its pid namespace, which separates containers with the same name."""
    try:
        return f"{socket.gethostname()} {_NAMESPACE.readlink()}"
    except OSError:  # not Linux, or no permission
        return _name_of_mac() or socket.gethostname()


@cache
def _name_of_mac() -> str:
    """Return a Mac's name in its sharing settings, because its host name changes with the network; "" elsewhere."""
    if sys.platform != "darwin":
        return ""
    try:
        words = [_SCUTIL, "--get", "LocalHostName"]
        return subprocess.run(words, capture_output=True, text=True, timeout=_SCUTIL_S, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def process_start(pid: int) -> str | None:
    """Return a text that identifies the start of a process on this machine and is never reused; None if it has exited.

    A zombie process counts as exited.
    """
    if _BOOT_ID.exists():
        return _linux_start(pid)
    try:
        process = psutil.Process(pid)
        # The hash is that of the pid and the kernel's time stamp. `create_time` is not used because it follows later
        # changes of the clock, but only those since psutil was imported, so it differs between processes.
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{hash(process):x}"
    except psutil.NoSuchProcess:
        return None


def _linux_start(pid: int) -> str | None:
    # proc(5): the name in brackets may contain spaces. After it come the state (field 3) and, as field 22, the start in
    # ticks since boot, which clock changes do not affect.
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    rest = text.rpartition(")")[2].split()
    if rest[0] in ("Z", "X"):
        return None
    return f"{_BOOT_ID.read_text().strip()}:{rest[19]}"


def is_alive(owner: Owner) -> bool | None:
    """Return whether the process still runs, or None if it is on another host, where this cannot be known."""
    if owner.host != this_host():
        return None
    return process_start(owner.pid) == owner.pid_start


def is_suspended(owner: Owner) -> bool:
    """Return whether a process of this host is stopped by a signal (Ctrl-Z, `kill -STOP`) or a debugger."""
    try:
        status = psutil.Process(owner.pid).status()
    except psutil.Error:
        return False
    return bool(is_alive(owner)) and status in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def kill(owner: Owner) -> None:
    """Kill the process, if it is still the same one, is on this host and is not the caller."""
    if owner.pid != os.getpid() and is_alive(owner):
        try:
            os.kill(owner.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
