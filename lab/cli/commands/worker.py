"""`worker`: train what is queued, in the foreground."""

import sys
from typing import NoReturn

import click

from lab.cli.output import json_flag, print_json
from lab.errors import LabError
from lab.lazy import load
from lab.service.lab import Lab
from lab.worker.supervisor.launch import is_running, lock_path
from lab.worker.supervisor.process import main as supervise


@click.command()
@click.option("--run", metavar="RUN", help="Train only this queued run, in this process, and end.")
@json_flag
@click.pass_obj
def worker(lab: Lab, run: str | None, as_json: bool) -> None:
    """Run the worker in the foreground until the queue has been empty for some minutes.

    It starts one worker a slot (LAB_SLOTS). A lab has one supervisor at a time. With --run the exit code is 75 where the
    run was given back before its end, for a later worker.
    """
    lab.settings.require_writable()
    if run is not None:
        _end(load("lab.worker.single:main")(lab, lab.store.runs.resolve(run).id), as_json)
    lab.settings.make_home()  # private, before a lock is put there
    if is_running(lab.settings):
        raise LabError(
            f"A worker is running already (it holds {lock_path(lab.settings)}): queue runs with `train --detach` and it "
            "will train them, or stop it first."
        )
    _end(supervise(lab.settings), as_json)


def _end(code: int, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"exit_code": code})
    sys.exit(code)
