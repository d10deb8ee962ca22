"""`queue`: list the running and queued runs in queue order; move a run, change its priority, or stop all."""

from collections.abc import Sequence

import click

from lab.cli.output import json_flag, print_json, print_table
from lab.cli.run_json import as_dict
from lab.formatting import format_moment, plural
from lab.runs.edits import MAX_PRIORITY
from lab.runs.queue_moves import Move
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab


@click.group(invoke_without_command=True)
@click.option("--owner", metavar="NAME", help="Show only the runs of one owner; '' shows runs without an owner.")
@json_flag
@click.pass_context
def queue(context: click.Context, owner: str | None, as_json: bool) -> None:
    """List the running and queued runs in queue order.

    The order is by priority; runs of equal priority take turns by owner.
    """
    if context.invoked_subcommand is None:
        _print_queue(context.obj.store.queue.list(), as_json, owner=owner)


@queue.command()
@click.argument("run")
@click.argument("where", type=click.Choice([move.value for move in Move]))
@json_flag
@click.pass_obj
def move(lab: Lab, run: str, where: str, as_json: bool) -> None:
    """Move a queued RUN to the front or the back of the queue, or one place up or down."""
    lab.settings.require_writable()
    _print_queue(lab.store.queue.move(lab.store.runs.resolve(run).id, Move(where)), as_json)


@queue.command()
@click.argument("run")
@click.argument("value", metavar="PRIORITY", type=click.IntRange(-MAX_PRIORITY, MAX_PRIORITY))
@json_flag
@click.pass_obj
def priority(lab: Lab, run: str, value: int, as_json: bool) -> None:
    """Set the PRIORITY of RUN; higher ones run first. Put a negative value after --, as in: priority RUN -- -1."""
    lab.settings.require_writable()
    lab.store.queue.prioritize(lab.store.runs.resolve(run).id, value)
    _print_queue(lab.store.queue.list(), as_json)


@queue.command("stop-all")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation; --json implies it.")
@json_flag
@click.pass_obj
def stop_all(lab: Lab, yes: bool, as_json: bool) -> None:
    """Stop all running and queued runs; the weights of finished epochs stay saved, and `resume` continues the runs."""
    lab.settings.require_writable()
    live = len(lab.store.queue.list())
    if live and not (yes or as_json or click.confirm(f"Stop {plural(live, 'run')}?")):
        click.echo("Nothing was stopped.")
        return
    stopped = lab.store.queue.stop_all()
    if as_json:
        print_json({"stopped": [as_dict(run) for run in stopped]})
    else:
        click.echo(f"{plural(len(stopped), 'run')} stopped, or about to stop.")


def _print_queue(runs: Sequence[RunRecord], as_json: bool, *, owner: str | None = None) -> None:
    waiting = [run.id for run in runs if run.state is RunState.QUEUED]
    places = {run: place for place, run in enumerate(waiting, start=1)}
    runs = [run for run in runs if owner is None or run.owner == owner]
    if as_json:
        print_json({"queue": [as_dict(run) | {"place": places.get(run.id)} for run in runs]})
        return
    columns = ("place", "run", "state", "name", "network", "data set", "epochs", "owner", "priority", "submitted")
    rows = [
        (
            places.get(run.id, ""),
            run.id,
            run.status,
            run.name,
            run.config.arch,
            run.config.dataset,
            run.config.epochs,
            run.owner,
            run.priority,
            format_moment(run.created_at),
        )
        for run in runs
    ]
    print_table(columns, rows, right=("place", "epochs", "priority"))
