"""`worker`: train what is queued, in the foreground."""

import sys

import click

from lab.cli.output import json_flag, print_json
from lab.errors import LabError
from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_running, lock_path
from lab.worker.supervisor.process import main as supervise


@click.command()
@json_flag
@click.pass_obj
def worker(lab: Lab, as_json: bool) -> None:
    """Run the worker in the foreground until the queue has been empty for some minutes.

    It starts one worker a slot (LAB_SLOTS). A lab has one supervisor at a time.
    """
    lab.settings.require_writable()
    lab.settings.make_home()  # private, before a lock is put there
    if is_running(lab.settings):
        raise LabError(
            f"A worker is running already (it holds {lock_path(lab.settings)}): queue runs with `train --detach` and it "
            "will train them, or stop it first."
        )
    code = supervise(lab.settings)
    if as_json:
        print_json({"exit_code": code})
    sys.exit(code)
