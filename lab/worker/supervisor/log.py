"""The log that supervisor and workers share: their standard error, which the supervisor's starter sends to a file."""

import os
import sys
import time
from functools import partial


def log(process: str, text: str) -> None:
    """Write one line with the time, the kind of process and its id."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {process} {os.getpid()}: {text}\n")
    sys.stderr.flush()


log_supervisor = partial(log, "supervisor")
log_worker = partial(log, "worker")
