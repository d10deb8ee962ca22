"""`python -m lab`, or `convlab` where the lab is installed: the command line.

Whatever takes time is imported inside, so that a Ctrl-C in the first moments is answered as a later one is.
"""

import io
import os
import sys

from lab import INTERRUPTED


def main(prog_name: str = "convlab") -> None:
    """Run one command and leave with its exit code; `prog_name` is what the help calls the program."""
    try:
        from lab.settings import PROCESS_ENVIRONMENT

        os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before a command imports torch
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # None where it is closed
                stream.reconfigure(
                    errors="backslashreplace"
                )  # a dash must not end a command where the terminal has none
        from lab.cli.app import main as run

        run(prog_name=prog_name)
    except KeyboardInterrupt:  # before the command had begun
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main("python -m lab")
