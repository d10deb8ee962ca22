"""`verify`: verify the checksums of stored runs and files."""

import sys
from collections.abc import Sequence

import click

from lab.cli.output import echo, json_flag, print_json
from lab.errors import ArtifactError, UnreadableRunError
from lab.formatting import plural
from lab.runs.records import RunRecord
from lab.service.lab import Lab


@click.command()
@click.argument("runs", nargs=-1)
@json_flag
@click.pass_obj
def verify(lab: Lab, runs: tuple[str, ...], as_json: bool) -> None:
    """Verify the checksums of RUNS (default: all) and of their saved files."""
    if runs:
        records: Sequence[RunRecord] = [lab.store.runs.resolve(run) for run in runs]
    else:
        records = lab.store.runs.list(limit=None, order="number", problems=True)
    problems = [*lab.store.integrity.check_file(), *_problems(lab, records)]
    if not runs:
        problems += lab.store.sketches.problems()
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
        if run.problem:
            found.append(run.problem)
            continue
        wrong = lab.store.integrity.verify(run.id)
        found += wrong
        try:
            files = lab.store.files.list(run.id)
        except UnreadableRunError as error:
            found += [] if wrong else [str(error)]
            continue
        for file in files:
            try:
                lab.artifacts.read(file)
            except ArtifactError as error:
                found.append(str(error))
    return found
