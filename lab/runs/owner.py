"""Who holds a run: a process, told apart from every other by host, id and the moment it started.

A process id alone is reused by the system; with its start it is not. Nothing here knows of the store.
"""

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

_NAMESPACE = Path("/proc/self/ns/pid")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Owner:
    """One process on one host. `pid_start` names the boot and the moment of the start, whatever the clock does."""

    host: str
    pid: int
    pid_start: str

    @classmethod
    def of_process(cls, pid: int) -> "Owner":
        """Return the identity of a process of this machine."""
        return cls(host=this_host(), pid=pid, pid_start=process_start(pid) or "")

    @classmethod
    def of_this_process(cls) -> "Owner":
        """Return the identity of the process that asks."""
        return cls.of_process(os.getpid())


def this_host() -> str:
    """Return the name of this machine, with its table of processes: two containers of one name do not see each other's."""
    try:
        return f"{socket.gethostname()} {_NAMESPACE.readlink()}"
    except OSError:  # no Linux, or not allowed to look
        return socket.gethostname()


def process_start(pid: int) -> str | None:
    """Return when a process of this machine started, in words that no later process can repeat; None if it is dead.

    A killed process that its parent has not yet collected counts as dead.
    """
    if _BOOT_ID.exists():
        return _linux_start(pid)
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.3f}"
    except psutil.NoSuchProcess:
        return None


def _linux_start(pid: int) -> str | None:
    # proc(5): the name in brackets may hold spaces; after it come the state (field 3) and, as field 22, the start in
    # ticks since boot, which no change of the clock moves.
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    rest = text.rpartition(")")[2].split()
    if rest[0] in ("Z", "X"):
        return None
    return f"{_BOOT_ID.read_text().strip()}:{rest[19]}"


def is_alive(owner: Owner) -> bool | None:
    """Say whether the process still runs; None when it is on another host, where nobody here can know."""
    if owner.host != this_host():
        return None
    return process_start(owner.pid) == owner.pid_start


def kill(owner: Owner) -> None:
    """End the process at once, if it is still the same one, on this host and not the caller itself."""
    if owner.pid != os.getpid() and is_alive(owner):
        try:
            os.kill(owner.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
