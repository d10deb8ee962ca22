"""`python -m lab`: the shell."""

import os

from lab.settings import PROCESS_ENVIRONMENT

if __name__ == "__main__":
    os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before a verb imports torch
    from lab.cli.app import main

    main()
