"""`report-table`: a report's experiments with the results it printed and those measured by this lab."""

from typing import Any

import click

from lab.charts.reports import ReportRow, report_cells, report_rows
from lab.cli.output import json_flag, print_json, print_table
from lab.errors import UnknownNameError, near_miss
from lab.presets import REPORTS
from lab.service.lab import Lab
from lab.sharing.tables import shown


@click.command("report-table")
@click.argument("report")
@json_flag
@click.pass_obj
def report_table(lab: Lab, report: str, as_json: bool) -> None:
    """Compare REPORT (A to E, or lab) with the means of this lab's runs.

    A mean is over all finished runs of the same settings, whatever their seed.
    """
    known = {name.lower(): name for name in REPORTS}
    if report.lower() not in known:
        raise UnknownNameError(f"There is no report {report!r}. {near_miss(report, REPORTS)}", field="report")
    rows = report_rows(
        known[report.lower()], check=lambda config: lab.validation.resolve(config).config, runs=lab.store.runs
    )
    if as_json:
        title = REPORTS[known[report.lower()]]
        print_json({"report": known[report.lower()], "title": title, "experiments": [_as_dict(row) for row in rows]})
        return
    table = report_cells(rows)
    columns = table.columns[:-1]  # the mistakes are sentences, too long for a table; `--json` has them
    numbers = [name for name in columns if name not in ("experiment", "network")]
    cells = [[shown(c, column=n) for c, n in zip(row, columns)] for row in table.rows]
    print_table(columns, cells, right=numbers)


def _as_dict(row: ReportRow) -> dict[str, Any]:
    measured = {
        "test_accuracy": row.test_accuracy,
        "last_loss": row.last_loss,
        "seconds": row.seconds,
        "stopped_epoch": row.stopped_epoch,
    }
    measured_epoch = {"measured_epoch": row.last_epoch or None, "quoted_epoch": row.quoted_epoch}
    return {
        "preset": row.preset.id,
        "title": row.preset.title,
        "arch": row.config.arch,
        "dataset": row.config.dataset,
        "reported": row.preset.reported.as_dict(),
        "mistake": row.preset.mistake or None,
        "ours": row.preset.ours or None,
        "measured": {name: None if spread is None else spread._asdict() for name, spread in measured.items()},
        "runs": [run.id for run in row.finished],
        "waiting": [run.id for run in row.waiting],
        **measured_epoch,
    }
