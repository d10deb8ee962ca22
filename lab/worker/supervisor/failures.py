"""Why workers end at their start: read from what they wrote to the log, and shown by pages and commands."""

import contextlib
import os
import resource
import signal
from pathlib import Path

from lab.formatting import format_bytes
from lab.settings import Settings
from lab.text import one_sentence, shortened
from lab.worker.supervisor.launch import log_path
from lab.worker.supervisor.log import LINE

_TAIL = 20_000  # bytes at the end of the log that are read
_REASON_LIMIT = 140  # characters
# If OpenBLAS can start no threads, it says so and sends the process SIGINT; a worker has no terminal to send another.
_INTERRUPTED = ("Traceback (most recent call last)", "KeyboardInterrupt")
_OUT_OF_MEMORY = (signal.SIGKILL, signal.SIGBUS)


def failing_path(settings: Settings) -> Path:
    """Return the file with the reason why workers failed repeatedly at their start, until one starts successfully."""
    return settings.home / "workers-failing"


def record_failing(settings: Settings, reason: str) -> None:
    """Store why workers fail at their start. On a full disk, pages continue to show that a worker is starting."""
    with contextlib.suppress(OSError):
        failing_path(settings).write_text(reason, encoding="utf-8")


def read_failing(settings: Settings) -> str | None:
    """Return why workers fail at their start, "" if the reason is unknown, or None if they do not fail."""
    try:
        return one_sentence(failing_path(settings).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def log_size(settings: Settings) -> int:
    """Return the size of the log in bytes, from which on `exit_reason` reads."""
    try:
        return log_path(settings).stat().st_size
    except OSError:
        return 0


def exit_reason(settings: Settings, code: int, *, since: int) -> str:
    """Return why a process ended: the signal that killed it, or the last line that it wrote to the log.

    code: as of `subprocess.Popen.returncode`. since: the size of the log at its start.
    """
    if code < 0:
        name = _signal_name(-code)
        return f"killed by {name}, often for lack of memory" if -code in _OUT_OF_MEMORY else f"killed by {name}"
    reason = _last_words(settings, since) or f"exit code {code}"
    limit = _memory_limit()
    return reason if limit is None else f"{reason}, with memory limited to {format_bytes(limit)} by `ulimit -v`"


def _memory_limit() -> int | None:
    """Return the most bytes of memory that a process may map, None if there is no limit."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def supervisor_words(settings: Settings, *, since: int) -> str:
    """Return the last line of the log from `since` on, which says why a supervisor ended at its start; "" for none."""
    return _last_words(settings, since, skip="")


def _last_words(settings: Settings, since: int, *, skip: str = "supervisor") -> str:
    """Return the last line of the log without its time; of a traceback, its error. skip: the process to leave out."""
    try:
        with log_path(settings).open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(since, end - _TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        found = LINE.fullmatch(line)
        if not line.strip() or line[0].isspace() or line.startswith(_INTERRUPTED):
            continue
        if found is None or found["process"] != skip:
            return shortened(one_sentence(found["text"] if found else line).rstrip("."), _REASON_LIMIT)
    return ""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
