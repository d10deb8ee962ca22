"""The process of `python -m lab serve`: Streamlit's server, which ends at Ctrl-C without a message and with code 0.

Streamlit's own command prints "Aborted!" at Ctrl-C and exits with code 1, or with a traceback while it is starting. It
is imported by `main`, so that a Ctrl-C during the import is handled too.
"""

import atexit
import os
import signal
import sys
from types import FrameType

from lab.lazy import load


def main() -> None:
    """Run Streamlit's command with the arguments of this process."""
    atexit.register(skip_finalization)  # the first to be registered, so the last to be called
    try:
        _run()
    except KeyboardInterrupt:
        return
    except BaseException:
        atexit.unregister(skip_finalization)  # Python prints the error and sets the exit code
        raise
    finally:
        signal.signal(signal.SIGINT, end_at_once)  # the interpreter still joins its threads


def skip_finalization() -> None:
    """End the process with code 0 before Python ends the remaining threads.

    Python 3.11 ends a daemon thread by unwinding its stack. Inside torch's C++ code that aborts the process, with
    "terminate called" or "exception not rethrown" and exit code 134.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def end_at_once(_number: int, _frame: FrameType | None) -> None:
    """Handle a Ctrl-C during the shutdown: nothing that runs in this process is still needed."""
    os._exit(0)


def _run() -> None:
    try:
        load("streamlit.web.cli:main")(sys.argv[1:], prog_name="streamlit", standalone_mode=False)
    except load("click:ClickException") as error:
        error.show()
        sys.exit(error.exit_code)
    except load("click:Abort"):  # click raises this at Ctrl-C
        return
