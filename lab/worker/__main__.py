"""`python -m lab.worker [SLOT/SLOTS]`: one worker; with `--run ID [--job NAME --executor ID --json]`, for that run only."""

import argparse
import json
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
    parser.add_argument("--json", action="store_true", help="print the exit code as JSON")
    given = parser.parse_args()
    if not given.run:
        return main(given.slot)
    code = single.main(Lab(Settings.from_env(os.environ)), given.run, job=given.job, executor=given.executor)
    if given.json:
        sys.stdout.write(json.dumps({"exit_code": code}) + "\n")
    return code


sys.exit(_main())
