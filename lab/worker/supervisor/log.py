"""The log that supervisor and workers share: their standard error, which is redirected to a file.

The latest lines are kept in memory, and a worker stores them with its run (`lab.runs.run_logs`).
"""

import os
import re
import sys
import time
from collections import deque
from functools import partial

RECENT: deque[str] = deque(maxlen=200)  # lines of this process
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?P<process>\w+) \d+: (?P<text>.*)")  # as `log` writes it


def log(process: str, text: str) -> None:
    """Write one line with the time, the kind of process and its process id."""
    line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {process} {os.getpid()}: {text}"
    RECENT.append(line)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


log_supervisor = partial(log, "supervisor")
log_worker = partial(log, "worker")
