"""Commands that change a run: stop, pause, resume, tag, delete."""

import time

import click

from lab.cli.options import executor_option
from lab.cli.output import json_flag, print_json
from lab.cli.run_json import as_dict
from lab.errors import UnreadableRunError
from lab.runs.records import RunRequest
from lab.service.lab import Lab

ANSWER_S = 30.0  # how long stop and pause wait for the worker to respond


def _request(lab: Lab, run: str, request: RunRequest, as_json: bool, *, executor: str | None = None) -> None:
    record = lab.submissions.control(lab.store.runs.resolve(run).id, request, executor=executor)
    if request is RunRequest.RUN:
        lab.workers.ensure()
    else:
        end = time.monotonic() + ANSWER_S
        while record.state.live and record.responding and time.monotonic() < end:
            time.sleep(0.2)
            record = lab.store.runs.get(record.id)
    if as_json:
        print_json(as_dict(record))
    else:
        silence = f" ({record.silence_text})" if record.silent else ""
        click.echo(f"Run {record.id} is {record.state.value}{silence}.")


@click.command()
@click.argument("run")
@json_flag
@click.pass_obj
def stop(lab: Lab, run: str, as_json: bool) -> None:
    """Stop a run after the current step and save its weights."""
    _request(lab, run, RunRequest.STOP, as_json)


@click.command()
@click.argument("run")
@json_flag
@click.pass_obj
def pause(lab: Lab, run: str, as_json: bool) -> None:
    """Pause a run; `resume` continues from the same step."""
    _request(lab, run, RunRequest.PAUSE, as_json)


@click.command()
@click.argument("run")
@executor_option
@json_flag
@click.pass_obj
def resume(lab: Lab, run: str, executor: str | None, as_json: bool) -> None:
    """Resume a paused, stopped, interrupted or failed run from its last checkpoint.

    --on moves the run to another executor, even if it is only queued.
    """
    _request(lab, run, RunRequest.RUN, as_json, executor=executor)


@click.command()
@click.argument("run")
@click.argument("tags", nargs=-1)
@click.option("--remove", is_flag=True, help="Remove these tags instead.")
@json_flag
@click.pass_obj
def tag(lab: Lab, run: str, tags: tuple[str, ...], remove: bool, as_json: bool) -> None:
    """Add tags to a run, or remove them."""
    record = lab.store.runs.resolve(run)
    others = [t for t in record.tags if t not in tags]
    lab.store.edits.set_tags(record.id, tags=tuple(others if remove else [*others, *tags]))
    record = lab.store.runs.get(record.id)
    if as_json:
        print_json(as_dict(record))
    else:
        click.echo(f"Run {record.id} has the tags: {', '.join(record.tags) or 'none'}.")


@click.command()
@click.argument("run")
@click.option("--undo", is_flag=True, help="Restore a deleted run.")
@json_flag
@click.pass_obj
def delete(lab: Lab, run: str, undo: bool, as_json: bool) -> None:
    """Delete a run; --undo restores it."""
    if undo:
        record = lab.store.removal.undelete(run)
    else:
        try:
            record = lab.store.runs.resolve(run)
        except UnreadableRunError:  # an unreadable run can still be deleted, by its full id
            record = lab.store.removal.delete(run.strip())
        else:
            lab.store.removal.delete(record.id)
    if as_json:
        print_json({"run": record.id, "deleted": not undo})
    else:
        click.echo(
            f"Run {record.id} is {'restored' if undo else 'deleted; `delete --undo` with its full id restores it'}."
        )
