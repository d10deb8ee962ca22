"""`sweep`: create, show, control, extend and export sweeps."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from lab.cli.options import Asked, asking_options
from lab.cli.output import echo_written, json_flag, print_json, print_table, write_file
from lab.cli.starting import Starting
from lab.errors import InputError, StoreBusyError, SweepStateError
from lab.formatting import format_duration, format_loss, format_moment, format_percent, format_short, plural
from lab.runs.outage import Outage
from lab.runs.sweep_titles import sweep_title
from lab.service.lab import Lab
from lab.service.sweeps import SweepView
from lab.settings import user_path
from lab.sharing.sweep_files import SWEEP_FORMATS, get_sweep_format
from lab.sweeps.presets import SWEEP_PRESETS, get_sweep_preset
from lab.sweeps.records import SweepRecord, SweepState
from lab.sweeps.space import read_space
from lab.sweeps.spec import read_spec
from lab.sweeps.suggest import planned
from lab.system_errors import reason, remedy

POLL_S = 0.5
MAX_SPEC = 1 << 20  # bytes


@click.group()
def sweep() -> None:
    """Search settings with many runs that pause early and continue if they are among the best."""


@sweep.command()
@click.argument("spec", metavar="[SPEC.json]", required=False)
@click.option("--preset", metavar="ID", help=f"A study from the reports instead of SPEC: {', '.join(SWEEP_PRESETS)}.")
@click.option("--wait", is_flag=True, help="Wait until the sweep has ended; Ctrl-C pauses it.")
@asking_options
@json_flag
@click.pass_obj
def create(
    lab: Lab,
    /,
    spec: str | None,
    preset: str | None,
    wait: bool,
    asked: Asked,
    as_json: bool,
) -> None:
    """Create a sweep from SPEC.json (- reads standard input); a background worker trains its trials."""
    if (spec is None) == (preset is None):
        raise click.UsageError("Give either SPEC.json, or --preset with the id of a study.")
    given = get_sweep_preset(preset).spec() if preset is not None else read_json(str(spec))
    if asked.executor is not None and isinstance(given, dict):
        given = {**given, "on": asked.executor}
    view = lab.sweeps.create(read_spec(given), owner=asked.owner, priority=asked.priority)
    lab.workers.ensure()
    if wait:
        view = follow(lab, view, quiet=as_json)
    _print_short(view, as_json)


@sweep.command("list")
@json_flag
@click.pass_obj
def list_sweeps(lab: Lab, as_json: bool) -> None:
    """List the sweeps, newest first."""
    found = lab.store.sweeps.list()
    if as_json:
        print_json({"sweeps": [listed(one) for one in found]})
        return
    rows = [
        (
            one.id,
            "unreadable" if one.spec is None else one.state.value,
            sweep_title(one),
            "" if one.spec is None else one.spec.method.value,
            one.problem or one.reason,
            format_moment(one.created_at),
        )
        for one in found
    ]
    print_table(("sweep", "state", "name", "method", "reason", "date"), rows)


@sweep.command()
@click.argument("sweep")
@json_flag
@click.pass_obj
def show(lab: Lab, sweep: str, as_json: bool) -> None:
    """Show a sweep: its counts, its best trial, and every trial with its decision. SWEEP is an id or a name."""
    view = lab.sweeps.show(lab.store.sweeps.resolve(sweep).id)
    if as_json:
        print_json(as_dict(view))
    else:
        _print_view(view)


def _control(name: str, act: Callable[[Lab, str], SweepView], help: str) -> None:
    @sweep.command(name, help=help)
    @click.argument("sweep")
    @json_flag
    @click.pass_obj
    def command(lab: Lab, sweep: str, as_json: bool) -> None:
        view = act(lab, lab.store.sweeps.resolve(sweep).id)
        if view.sweep.state is SweepState.RUNNING:
            lab.workers.ensure()
        _print_short(view, as_json)


_control("pause", lambda lab, one: lab.sweeps.pause(one), "Pause a sweep and its trial; `sweep resume` continues it.")
_control("resume", lambda lab, one: lab.sweeps.resume(one), "Resume a paused or stopped sweep.")
_control(
    "stop", lambda lab, one: lab.sweeps.stop(one), "Stop a sweep: no further trial starts, and the best one is tested."
)


@sweep.command()
@click.argument("sweep")
@click.option("--trials", type=int, metavar="N", help="Number of trials to add.")
@click.option("--minutes", type=float, metavar="M", help="Minutes of computing time to add.")
@click.option("--space", metavar="SPACE.json", help="A new search space, as in SPEC (- reads standard input).")
@json_flag
@click.pass_obj
def extend(lab: Lab, sweep: str, trials: int | None, minutes: float | None, space: str | None, as_json: bool) -> None:
    """Add trials or minutes to a sweep, or replace its search space; a finished sweep continues."""
    if trials is None and minutes is None and space is None:
        raise click.UsageError("There is nothing to extend by: give --trials, --minutes or --space.")
    other = None if space is None else read_space(read_json(space))
    view = lab.sweeps.extend(lab.store.sweeps.resolve(sweep).id, trials=trials, minutes=minutes, space=other)
    lab.workers.ensure()
    _print_short(view, as_json)


@sweep.command()
@click.argument("sweep")
@click.argument("runs", nargs=-1)
@json_flag
@click.pass_obj
def adopt(lab: Lab, sweep: str, runs: tuple[str, ...], as_json: bool) -> None:
    """Add stored RUNS (default: all that fit) to a sweep as trials that cost no computing time."""
    given = [lab.store.runs.resolve(run) for run in runs] or None
    view, count = lab.sweeps.adopt(lab.store.sweeps.resolve(sweep).id, given)
    if as_json:
        print_json({"sweep": view.sweep.id, "adopted": count, "state": view.sweep.state.value})
    else:
        click.echo(f"{plural(count, 'run')} adopted by sweep {view.sweep.id}.")


@sweep.command()
@click.argument("sweep")
@click.option("--format", "format_id", default="csv", show_default=True, metavar="ID", help=", ".join(SWEEP_FORMATS))
@click.option(
    "--out", type=click.Path(path_type=Path), help="File to write; by default named by the sweep's id, in this folder."
)
@json_flag
@click.pass_obj
def export(lab: Lab, sweep: str, format_id: str, out: Path | None, as_json: bool) -> None:
    """Export a sweep's trials to a file: a table, or a journal that Optuna Dashboard opens."""
    format = get_sweep_format(format_id)
    view = lab.sweeps.show(lab.store.sweeps.resolve(sweep).id)
    if view.sweep.spec is None:
        raise SweepStateError(view.sweep.problem)
    path = out or Path(f"{view.sweep.id}{format.extension}")
    data = format.write(view.sweep.spec, sweep_title(view.sweep), view.trials)
    write_file(path, data)
    if as_json:
        print_json({"file": str(path), "bytes": len(data)})
    else:
        echo_written(path, f"{path} is written.")


def read_json(place: str) -> Any:
    """Return the JSON of a file, or of standard input for "-". Raises `InputError` if it cannot be read as JSON."""
    try:
        if place == "-":
            text = sys.stdin.read(MAX_SPEC + 1)
        else:
            with user_path(Path(place)).open("rb") as stream:
                data = stream.read(MAX_SPEC + 1)  # it may be a pipe, such as <(…) in a shell; /dev/zero has no end
            text = data.decode() if len(data) <= MAX_SPEC else " " * (MAX_SPEC + 1)
    except OSError as error:
        how = remedy(error, "give the path of a JSON file")
        raise InputError(f"{place} cannot be read ({reason(error)}): {how}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 text: give the path of a JSON file.") from error
    if len(text) > MAX_SPEC:
        raise InputError(f"{place} is longer than {MAX_SPEC >> 20} MB, but a sweep is a short JSON file.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f"line {error.lineno}, {error.msg}" if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise InputError(f"{place} is not JSON ({where}): see `python -m lab sweep create --help`.") from error


def follow(lab: Lab, view: SweepView, *, quiet: bool) -> SweepView:
    """Wait until a sweep is no longer running, printing each new decision; Ctrl-C pauses it."""

    def say(text: str) -> None:
        if not quiet:
            click.echo(text, err=True)

    said: dict[int, str] = {}
    starting, outage = Starting(lab, say), Outage(say=say)
    while True:
        try:
            for trial in view.trials:
                if trial.decision != said.get(trial.number):
                    say(f"trial {trial.number}: {trial.decision}")
                said[trial.number] = trial.decision
            if view.sweep.state is not SweepState.RUNNING:
                return view
            time.sleep(POLL_S)
            starting.ensure()
            view = lab.sweeps.show(view.sweep.id)
            outage.answered()
        except KeyboardInterrupt:
            click.echo("Pausing the sweep; `sweep resume` continues it.", err=True)
            view = lab.sweeps.pause(view.sweep.id)
        except StoreBusyError as error:
            outage.refused(error)


def listed(record: SweepRecord) -> dict[str, Any]:
    """Return one sweep of a list as a JSON object."""
    if record.spec is None:
        return {"sweep": record.id, "state": "unreadable", "problem": record.problem}
    return {
        "sweep": record.id,
        "name": sweep_title(record),
        "state": record.state.value,
        "reason": record.reason,
        "method": record.spec.method.value,
        "trials": record.spec.trials,
        "minutes": record.spec.minutes,
        "created_at": record.created_at,
    }


def as_dict(view: SweepView) -> dict[str, Any]:
    """Return a sweep as `sweep show --json` prints it; scripts rely on its keys."""
    counts, best = view.counts, view.best
    found: dict[str, Any] = {
        "sweep": view.sweep.id,
        "name": sweep_title(view.sweep),
        "state": view.sweep.state.value,
        "reason": view.sweep.reason,
        "counts": {
            "finished": counts.finished,
            "paused": counts.paused,
            "failed": counts.failed,
            "running": counts.running,
            "queued": counts.queued,
            "cached": counts.cached,
        },
        "epochs_spent": view.epochs,
        "seconds_spent": view.seconds,
        "best": None
        if best is None
        else {
            "run": best.trial.run,
            "epoch": best.measured.epoch,
            "val_loss": best.measured.val_loss,
            "val_accuracy": best.measured.val_accuracy,
        },
        "trials": [
            {
                "trial": trial.number,
                "run": trial.run or None,
                "settings": dict(trial.params),
                "rung": trial.rung,
                "decision": trial.decision,
                "state": trial.state.value,
                "responding": trial.responding,
                "source": trial.source.value,
                "epochs": trial.epochs,
                "seconds": trial.seconds,
                "values": [
                    {"epoch": one.epoch, "val_loss": one.val_loss, "val_accuracy": one.val_accuracy}
                    for one in trial.values
                ],
            }
            for trial in view.trials
        ],
    }
    if best is not None and best.test_accuracy is not None:
        found["best"]["test_accuracy"] = best.test_accuracy
    return found


def _print_short(view: SweepView, as_json: bool) -> None:
    record = view.sweep
    if as_json:
        print_json({"sweep": record.id, "trials": planned(record.asked), "state": record.state.value})
        return
    reason = f": {record.reason}" if record.reason else ""
    click.echo(f"Sweep {record.id} is {record.state.value} with {plural(len(view.trials), 'trial')}{reason}.")


def _print_view(view: SweepView) -> None:
    record = view.sweep
    click.echo(f"{record.id}  {sweep_title(record)}  {record.state.value}  {record.reason}".rstrip())
    if record.problem:
        return
    click.echo(view.counts_text or "no trials")
    click.echo(f"{plural(view.epochs, 'epoch')} and {format_duration(view.seconds)} of computing")
    if view.best is not None:
        measured = view.best.measured
        words = f"Best: trial {view.best.trial.number}, validation loss {format_loss(measured.val_loss)}, "
        words += f"accuracy {format_percent(measured.val_accuracy)} after {view.best.epoch_text}"
        if view.best.test_accuracy is not None:
            words += f"; {format_percent(view.best.test_accuracy)} on the test set"
        click.echo(words)
        if view.best.selected_text:
            click.echo(view.best.selected_text)
    rows = [
        (
            trial.number,
            trial.run,
            ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items()),
            "" if trial.last is None else trial.last.epoch,
            "" if trial.last is None else format_loss(trial.last.val_loss),
            "" if trial.last is None else format_percent(trial.last.val_accuracy),
            trial.status,
            trial.decision,
        )
        for trial in view.trials
    ]
    columns = ("trial", "run", "settings", "epoch", "val. loss", "val. acc.", "state", "decision")
    print_table(columns, rows, right=("trial", "epoch", "val. loss", "val. acc."))


def _short(value: Any) -> str:
    return format_short(value) if isinstance(value, float) else str(value)
