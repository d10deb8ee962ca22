"""`verify`: whether what is stored is still what was written."""

import sys
from collections.abc import Sequence

import click

from lab.cli.output import echo, json_flag, print_json
from lab.errors import ArtifactError
from lab.experiment import Lab
from lab.formatting import plural
from lab.runs.records import RunRecord


@click.command()
@click.argument("runs", nargs=-1)
@json_flag
@click.pass_obj
def verify(lab: Lab, runs: tuple[str, ...], as_json: bool) -> None:
    """Check RUNS (all if none is named) against the digests taken when they ended, and their kept files."""
    records = [lab.store.resolve(run) for run in runs] if runs else lab.store.list_runs(limit=None, order="number")
    problems = [*lab.store.check(), *_problems(lab, records)]
    if as_json:
        print_json({"runs": len(records), "problems": problems})
    else:
        for problem in problems:
            echo(problem)
        click.echo(
            f"{plural(len(records), 'run')} checked, {plural(len(problems), 'problem') if problems else 'no problems'}."
        )
    sys.exit(1 if problems else 0)


def _problems(lab: Lab, records: Sequence[RunRecord]) -> list[str]:
    found: list[str] = []
    for run in records:
        found += lab.store.verify(run.id)
        for file in lab.store.kept(run.id):
            try:
                lab.artifacts.read(file)
            except ArtifactError as error:
                found.append(str(error))
    return found


COMMANDS = (verify,)
