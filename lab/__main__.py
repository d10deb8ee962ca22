"""`python -m lab`: the shell."""

import io
import os
import sys

from lab.settings import PROCESS_ENVIRONMENT

if __name__ == "__main__":
    os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before a verb imports torch
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="backslashreplace")  # a dash must not end a command where the terminal has none
    try:
        from lab.cli.app import main

        main()
    except KeyboardInterrupt:  # before the command had begun
        sys.exit(1)
