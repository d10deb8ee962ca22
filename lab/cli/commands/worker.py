"""`worker`: train queued runs in the foreground, for the lab of this machine or for one that it joins."""

import os
import sys
from typing import NoReturn

import click

from lab.cli.output import json_flag, print_json
from lab.errors import LabError
from lab.formatting import plural
from lab.runs.serving import WORKER
from lab.service.joining import join
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings
from lab.worker.supervisor.launch import is_running, lock_path, suspension
from lab.worker.supervisor.process import main as supervise
from lab.worker.supervisor.slots import count_slots


@click.command()
@click.option("--run", metavar="RUN", help="Train only this queued run, in this process, and exit.")
@click.option(
    "--join",
    "lab_token",
    metavar="TOKEN",
    help="Train for the lab of this token (from `machines token` there) until interrupted; - reads standard input.",
)
@json_flag
@click.pass_obj
def worker(lab: Lab, run: str | None, lab_token: str | None, as_json: bool) -> None:
    """Run the worker in the foreground until the queue has been empty for some minutes.

    It starts one worker per slot (LAB_SLOTS). A lab has one supervisor at a time. With --run the exit code is 75 if the
    run was returned to the queue before its end, for a later worker.
    """
    lab.settings.require_writable()
    if run is not None:
        _become_worker(lab, lab.store.runs.resolve(run).id, as_json)
    lab.settings.make_home()  # with private permissions, before the lock file is created in it
    settings = _joined(lab, lab_token) if lab_token else lab.settings
    if is_running(settings):
        why = suspension(settings)
        raise LabError(
            f"No worker can start: {why}."
            if why
            else f"A worker is already running (it holds {lock_path(settings)}): queue runs with `train --detach` and "
            "it will train them, or stop it first."
        )
    if lab_token and not as_json:
        click.echo(
            f"This machine now trains for the lab with {plural(count_slots(settings), 'slot')}. Ctrl-C stops it."
        )
    _end(supervise(settings, warm=bool(lab_token)), as_json)


def _become_worker(lab: Lab, run: str, as_json: bool) -> NoReturn:
    """Replace this process by the worker of one run, whose environment names the database that it works for.

    Others read it there (`lab.runs.serving`), which the flags of this command would not show.
    """
    lab.store.close()
    words = [sys.executable, "-m", WORKER, "--run", run, *(["--json"] if as_json else [])]
    os.chdir(CHECKOUT)  # `-m` searches the current folder first
    os.execve(sys.executable, words, {**os.environ, **lab.settings.environment()})  # noqa: S606


def _end(code: int, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"exit_code": code})
    sys.exit(code)


def _joined(lab: Lab, text: str) -> Settings:
    return join(lab.settings, sys.stdin.read() if text == "-" else text)
