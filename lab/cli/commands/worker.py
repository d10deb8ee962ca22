"""`worker`: train what is queued, in the foreground."""

import sys

import click

from lab.cli.output import json_flag, print_json
from lab.errors import LabError
from lab.service.lab import Lab
from lab.worker.supervisor import is_running, lock_path
from lab.worker.supervisor import main as supervise


@click.command()
@json_flag
@click.pass_obj
def worker(lab: Lab, as_json: bool) -> None:
    """Train queued runs in the foreground, until nothing is queued for some minutes; one per lab."""
    lab.settings.require_writable()
    lab.settings.make_home()  # private, before a lock is put there
    if is_running(lab.settings):
        raise LabError(
            f"A worker is alive already (it holds {lock_path(lab.settings)}): queue runs with `train --detach` and it "
            "will train them, or end it first."
        )
    code = supervise(lab.settings)
    if as_json:
        print_json({"exit_code": code})
    sys.exit(code)
