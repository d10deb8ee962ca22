"""`runs` and `show`: the list of runs, and one run."""

from collections.abc import Sequence
from typing import Any

import click

from lab.cli.findings import finding_lines
from lab.cli.output import json_flag, print_json, print_table
from lab.cli.run_json import as_dict, as_listed
from lab.formatting import format_duration, format_loss, format_moment, format_percent, plural
from lab.metrics import Cadence, Split, list_epoch_metrics, list_metrics
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.service.lineage import FORK_STATES, change_words, changed_settings, origin_of, origin_words
from lab.sharing.epochs import EpochRow, epoch_rows, format_epoch, run_steps

MAX_LIMIT = 1_000_000  # the highest --limit


@click.command()
@click.option(
    "--filter", "where", default="", metavar="SEARCH", help='A search such as "arch:lenet* lr<0.01 state:finished".'
)
@click.option(
    "--sort",
    "order",
    default="-created",
    show_default=True,
    metavar="KEY",
    help="A key of the search, or outcome; -KEY sorts in descending order.",
)
@click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, MAX_LIMIT),
    help="The largest number of runs to list.",
)
@click.option("--examples", is_flag=True, help="List the example runs that ship with the lab instead of your own.")
@json_flag
@click.pass_obj
def runs(lab: Lab, where: str, order: str, limit: int, examples: bool, as_json: bool) -> None:
    """List the runs, newest first; --filter takes the search of the Runs page."""
    store = lab.examples.store if examples else lab.store
    found, total = store.runs.page(where=where, order=order, limit=limit)
    warn(lab)
    if as_json:
        print_json({"runs": [as_listed(run) for run in found], "total": total})
        return
    print_table(
        ("run", "state", "name", "network", "data set", "test", "epoch", "time", "date"),
        [
            (run.id, "unreadable", *[""] * 7)
            if run.problem
            else (
                run.id,
                run.status,
                run.name,
                run.config.arch,
                run.config.dataset,
                format_percent(run.headline.test_accuracy),
                run.epoch_text or f"– of {run.config.epochs}",
                format_duration(run.seconds or None),
                format_moment(run.created_at),
            )
            for run in found
        ],
        right=("test", "time"),
    )
    for run in found:
        if run.problem:
            click.echo(run.problem)


def warn(lab: Lab) -> None:
    """Print warnings about the database file on standard error, because a list may silently lack runs."""
    for warning in lab.store.integrity.warnings():
        click.echo(f"Warning: {warning}", err=True)


@click.command()
@click.argument("run")
@click.option("--metrics", is_flag=True, help="With --json, add the metrics recorded at every step.")
@json_flag
@click.pass_obj
def show(lab: Lab, run: str, metrics: bool, as_json: bool) -> None:
    """Show one run: configuration, state, metrics per epoch, saved files. RUN is an id, its beginning, or a name."""
    warn(lab)
    record = lab.store.runs.resolve(run)
    points = lab.store.points.read(record.id)
    rows, steps = epoch_rows(points), run_steps(record, points)
    files = lab.store.files.list(record.id)
    above, below = lab.lineage.parent(record), lab.lineage.children(record.id)
    if as_json:
        answer = {
            **as_dict(record),
            "origin": _origin(record, above),
            "children": [{**(_origin(child, record) or {}), "run": child.id, "name": child.name} for child in below],
            "config": record.config.as_dict(),
            "progress": record.progress.as_dict(),
            "environment": record.environment.as_dict(),
            "metrics": [{"epoch": row.epoch(steps), "step": row.step, **row.metrics} for row in rows],
            "checkpoints": [
                {"kind": k.kind, "epoch": k.epoch, "step": k.step, "bytes": k.bytes, "sha256": k.sha256} for k in files
            ],
        }
        if metrics:
            every_batch = [points[m.id] for m in list_metrics(cadence=Cadence.BATCH) if m.id in points]
            answer["steps"] = {s.name: {"step": s.step, "value": s.value, "time_s": s.time_s} for s in every_batch}
        print_json(answer)
        return
    _show_text(record, len(files), _relatives(record, above, below))
    _show_epochs(rows, steps)


def _origin(run: RunRecord, above: RunRecord | None) -> dict[str, Any] | None:
    """Return the origin of a run as JSON, None if it has none. above: its parent run, None if not in this lab."""
    origin = origin_of(run)
    if origin is None:
        return None
    changes = {} if above is None else changed_settings(above.config, run.config)
    return {
        "run": origin.run,
        "name": above.name if above else None,
        "relation": origin.relation.value,
        "epoch": origin.epoch,
        "changes": {name: list(pair) for name, pair in changes.items()},
    }


def _relatives(run: RunRecord, above: RunRecord | None, below: Sequence[RunRecord]) -> list[str]:
    """Return lines that name a run's parent and its children."""
    lines = []
    origin = origin_of(run)
    if origin is not None:
        name = f"{above.name} ({above.id})" if above else f"{origin.run} (not in this lab)"
        changed = f": {change_words(above.config, run.config)}" if above else ""
        state = FORK_STATES.get(run.environment.fork_state or "", "")
        words = f"{origin_words(origin, name=name)}{changed}"
        lines.append(f"{words[0].upper()}{words[1:]}." + (f" {state}" if state else ""))
    for child in below:
        came = origin_of(child)
        epoch = f" at epoch {came.epoch}" if came and came.epoch else ""
        relation = came.relation.value if came else ""
        lines.append(
            f"{relation.capitalize()}{epoch}: {child.name} ({child.id}), {change_words(run.config, child.config)}"
        )
    return lines


def _show_text(run: RunRecord, files: int, relatives: Sequence[str]) -> None:
    click.echo(f"{run.id}  {run.name}  {run.status}  {run.silence_text or run.reason}".rstrip())
    for line in relatives:
        click.echo(line)
    changed = ", ".join(f"{name}={value}" for name, value in run.config.changed().items())
    click.echo(f"Settings that differ from the defaults: {changed or 'none'}")
    click.echo(_headline_line(run))
    trained = f"{format_duration(run.seconds)} of training on {run.device or '–'}"
    trained += f", {run.environment.steps_words}" if run.environment.steps_words else ""
    click.echo(f"{plural(files, 'saved file')}, {trained}\n")
    for line in finding_lines(run):
        click.echo(line)
    for notice in run.notices:
        click.echo(f"Note: {notice}")


def _show_epochs(rows: Sequence[EpochRow], steps: int | None) -> None:
    metrics = [metric for metric in list_epoch_metrics() if metric.split is not Split.NONE]
    columns = ("epoch", "step", *(metric.short for metric in metrics))
    texts = [
        (format_epoch(row.epoch(steps)), row.step, *(_digits(row.metrics.get(metric.id)) for metric in metrics))
        for row in rows
    ]
    print_table(columns, texts, right=columns)


def _headline_line(run: RunRecord) -> str:
    """Return the accuracy of the selected weights with their epoch, and how the run ended."""
    words = run.headline_text or "not tested yet"
    if run.headline.saved:
        words += "; predict, evaluate, Draw and exports use these weights"
    words += f". It {run.end_text}" if run.end_text else ""
    return f"Accuracy: {words}" + (f". It {run.early_text}" if run.early_text else "")


def _digits(value: float | None) -> str:
    return "" if value is None else format_loss(value)
