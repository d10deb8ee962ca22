"""Entry point of the command line: `python -m lab`, or `convlab` if the package is installed."""

import io
import os
import sys

from lab.settings import PROCESS_ENVIRONMENT


def main(prog_name: str = "convlab") -> None:
    """Run one command and exit with its code. `prog_name` is the program name that the help shows."""
    os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before a command imports torch
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if it is closed
            stream.reconfigure(errors="backslashreplace")  # a character that the terminal lacks must not end a command
    try:
        from lab.cli.app import main as run

        run(prog_name=prog_name)
    except KeyboardInterrupt:  # before the command started
        sys.exit(1)


if __name__ == "__main__":
    main("python -m lab")
