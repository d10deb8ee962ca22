"""`python -m lab.worker [SLOT/SLOTS]`: one worker; with `--run ID [--job NAME --executor ID]`, for that run only."""

import argparse
import os
import sys

from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker import single
from lab.worker.loop import main


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab.worker")
    parser.add_argument("slot", nargs="*")
    parser.add_argument("--run", default="")
    parser.add_argument("--job", default="")
    parser.add_argument("--executor")
    given = parser.parse_args()
    if not given.run:
        return main(given.slot)
    return single.main(Lab(Settings.from_env(os.environ)), given.run, job=given.job, executor=given.executor)


sys.exit(_main())
