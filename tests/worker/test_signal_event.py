"""Events that signal handlers set: a signal between any two lines of `wait` or `set` must not block the process."""

import subprocess
import sys
import threading
import time

import pytest

from lab.settings import CHECKOUT
from lab.worker.supervisor.signal_event import SignalEvent
from tests.waiting import LIMIT_S

# Sends this process a signal before every line of `wait` and `set` and of what they call. A second signal comes while
# the handler of the first one runs, once per wait.
_INTERRUPTED = """
import faulthandler, os, signal, sys, threading
from lab.worker.supervisor.signal_event import SignalEvent
faulthandler.dump_traceback_later({limit_s}, exit=True)
depth = 0

def end(number, frame):
    global depth
    depth += 1
    if depth < 3:
        event.set()
    depth -= 1

def trace(frame, kind, argument):
    if depth < 2 and kind in ("line", "return"):
        os.kill(os.getpid(), signal.SIGTERM)
    return trace

signal.signal(signal.SIGTERM, end)
for _ in range(3):
    event = {event}()
    sys.settrace(trace)
    event.wait(0.2)
    event.wait(0.2)
    sys.settrace(None)
    assert event.is_set()
print("ended")
"""


def _interrupted(event: str, *, limit_s: float) -> str:
    code = _INTERRUPTED.format(event=event, limit_s=limit_s)
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_setting_it_ends_the_waits_of_all_threads_and_later_ones() -> None:
    event, ended = SignalEvent(), []
    waiting = [threading.Thread(target=lambda: ended.append(event.wait())) for _ in range(3)]
    for thread in waiting:
        thread.start()
    assert not event.is_set()
    event.set()
    for thread in waiting:
        thread.join(LIMIT_S)
    event.set()
    assert ended == [True] * 3
    assert event.wait()
    assert event.is_set()


def test_a_wait_takes_as_long_as_it_may_and_reports_that_nothing_was_set() -> None:
    began = time.monotonic()
    assert not SignalEvent().wait(0.1)
    assert time.monotonic() - began >= 0.1
    with pytest.raises(NotImplementedError):
        SignalEvent().clear()


def test_a_signal_at_any_line_of_a_wait_ends_it() -> None:
    assert _interrupted("SignalEvent", limit_s=LIMIT_S) == "ended\n"


@pytest.mark.long
def test_the_same_signals_block_an_event_with_a_lock() -> None:
    assert "Timeout" in _interrupted("threading.Event", limit_s=5.0)
