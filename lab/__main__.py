"""Entry point of the command line: `python -m lab`, or `convlab` if the package is installed.

Slow imports happen inside `main`, so that Ctrl-C during start-up is handled like a later one.
"""

import io
import os
import sys

from lab import INTERRUPTED
from lab.platforms import refusal


def main(prog_name: str = "convlab") -> None:
    """Run one command and exit with its code. `prog_name` is the program name that the help shows."""
    if reason := refusal(sys.platform, sys.version_info[:3]):
        sys.exit(f"Error: {reason}")
    try:
        from lab.settings import PROCESS_ENVIRONMENT

        os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before a command imports torch
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # None if it is closed
                stream.reconfigure(errors="backslashreplace")  # a character the terminal lacks must not end a command
        try:
            from lab.cli.app import main as run
        except ModuleNotFoundError as error:
            sys.exit(_other_python(error))
        run(prog_name=prog_name)
    except KeyboardInterrupt:  # before the command started, or from OpenBLAS, which cannot start its threads
        from lab.system_errors import process_remedy, refuses_threads

        sys.exit(f"Error: No thread can be started: {process_remedy()}." if refuses_threads() else INTERRUPTED)


def _other_python(error: ModuleNotFoundError) -> str:
    """Return what to do where another Python than that of the lab's environment was started."""
    return (
        f"{sys.executable} does not have the lab's packages ({error}): run .venv/bin/convlab, "
        "or activate the environment first (`source .venv/bin/activate`); `make run` sets it up."
    )


if __name__ == "__main__":
    main(prog_name="python -m lab")
