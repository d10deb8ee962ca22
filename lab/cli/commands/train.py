"""`train`: queue a run (or find the stored one), and follow it to its end."""

import sys
import time
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lab.cli.findings import finding_lines
from lab.cli.options import Asked, asking_options, build_config, config_options, run_options
from lab.cli.output import json_flag, print_json
from lab.cli.starting import Starting
from lab.errors import RunStateError, StoreBusyError
from lab.formatting import format_duration, format_moment, format_percent
from lab.presets import PRESETS, get_preset
from lab.runs.outage import Outage
from lab.runs.records import RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.service.submissions import Submission

POLL_S = 0.25
ENSURE_S = 5.0  # a worker just started may take this long to register


@click.command(context_settings={"show_default": False})
@click.option("--preset", metavar="ID", help=f"Start from the settings of a preset: {', '.join(PRESETS)}.")
@run_options
@asking_options
@config_options
@json_flag
@click.pass_obj
def train(
    lab: Lab,
    /,
    preset: str | None,
    name: str,
    tags: tuple[str, ...],
    no_cache: bool,
    detach: bool,
    asked: Asked,
    as_json: bool,
    **flags: Any,
) -> None:
    """Train a network, or return the stored run with the same settings.

    A background worker trains the run. With --detach the command returns immediately; otherwise Ctrl-C stops the run
    and saves its weights.
    """
    config = build_config(preset, flags)
    tags = tags or (get_preset(preset).tags if preset else ())
    submission = lab.submissions.submit(
        lab.validation.resolve(config),
        name=name or (preset or ""),
        tags=tags,
        fresh=no_cache,
        **asked._asdict(),
    )
    answer(lab, submission, detach=detach, as_json=as_json)


def answer(lab: Lab, submission: Submission, *, detach: bool, as_json: bool) -> None:
    """Follow the submitted run (unless `detach`), print it, and exit with 1 if it failed."""
    run = submission.run
    if not detach and run.state.live:
        run = follow(lab, run, quiet=as_json)
    elif run.state.live:
        lab.workers.ensure()
    if as_json:
        print_json(result(run, cached=submission.cached))
    else:
        _print_run(run, cached=submission.cached)
    failed = run.state in (RunState.FAILED, RunState.INTERRUPTED)
    if failed or (not detach and run.state is not RunState.FINISHED):
        sys.exit(1)


def result(run: RunRecord, *, cached: bool) -> dict[str, Any]:
    """Return the JSON answer, whose keys scripts rely on. Accuracies and loss are those of the weights of `epoch`."""
    headline = run.headline
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state.value,
        "cached": cached,
        "epochs": (run.progress.epoch or 0) if run.summary.epochs is None else run.summary.epochs,
        "epoch": headline.epoch,
        "which": headline.which,
        "test_accuracy": headline.test_accuracy,
        "val_accuracy": headline.val_accuracy,
        "test_loss": headline.test_loss,
        "images_per_second": run.summary.images_per_second,
        "seconds": run.seconds,
        "reason": run.reason,
        "outcome": run.status,
        "findings": [finding.as_dict() for finding in run.findings],
    }


def follow(lab: Lab, run: RunRecord, *, quiet: bool) -> RunRecord:
    """Wait until the run has ended, showing a progress bar on a terminal; Ctrl-C stops it and saves its weights."""
    console = Console(stderr=True, quiet=quiet)
    printed: set[str] = set()
    outage = Outage(say=lambda text: console.print(text, markup=False))  # reports once, not at every poll
    starting = Starting(lab, lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True))
    helped = -ENSURE_S
    with build_bar(console) as bar:
        task = bar.add_task("queued", total=1, left="")
        while run.state.live:
            try:  # around the whole body: a Ctrl-C while the bar is drawn must also stop the run
                if time.monotonic() - helped > ENSURE_S:
                    helped = time.monotonic()
                    starting.ensure()
                time.sleep(POLL_S)
                run = lab.store.runs.get(run.id)
                outage.answered()
                _print_notices(run, printed, console)
                _show(bar, task, run)
            except KeyboardInterrupt:
                run = _stop(lab, run, console)
            except StoreBusyError as error:
                outage.refused(error)
    return run


def build_bar(console: Console) -> Progress:
    """Return the progress bar: silent without a terminal, and narrow enough to show the time left in 80 columns."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
    )
    return Progress(*columns, console=console, transient=True, disable=console.quiet or not console.is_terminal)


def _print_notices(run: RunRecord, printed: set[str], console: Console) -> None:
    for notice in run.notices:
        if notice not in printed:
            console.print(f"Note: {notice}", markup=False, highlight=False, soft_wrap=True)
            printed.add(notice)


def _stop(lab: Lab, run: RunRecord, console: Console) -> RunRecord:
    console.print("Stopping after this step; the weights will be saved.", markup=False)
    try:
        return lab.submissions.control(run.id, RunRequest.STOP)
    except RunStateError:  # it ended in the meantime
        return lab.store.runs.get(run.id)


def _show(bar: Progress, task: Any, run: RunRecord) -> None:
    state = run.progress
    if run.silent:  # what its worker said last is no longer true
        bar.update(task, description=run.status, left=run.silence_text)
        return
    if not state.total_steps:
        bar.update(task, description=state.phase or run.status, left="")
        return
    rate = f"{state.images_per_second or 0:,.0f} images/s"
    left = f"{format_duration(state.eta_seconds)} left, {rate}"
    text = f"epoch {state.epoch or 0}/{run.config.epochs}"
    bar.update(task, description=text, completed=state.step, total=state.total_steps, left=left)


def _print_run(run: RunRecord, *, cached: bool) -> None:
    what = "is training" if run.status == RunState.RUNNING else f"is {run.status if run.state.live else run.state}"
    what += f" ({run.outcome})" if run.outcome else ""
    click.echo(f"Run {run.id} {what}: {run.reason}" if run.reason else f"Run {run.id} {what}.")
    if cached and run.finished_at:
        click.echo(
            f"It was trained on {format_moment(run.finished_at)} in {format_duration(run.seconds)}; "
            "--no-cache trains it again."
        )
    for line in () if run.state.live else finding_lines(run):
        click.echo(line)
    if run.state is RunState.FINISHED:
        click.echo(
            f"Accuracy: {run.headline_text}, validation {format_percent(run.headline.val_accuracy)}; "
            f"{format_duration(run.seconds)} of training."
        )
