"""`compare`: runs side by side, and the verdict on whether one side is better."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from lab.cli.output import echo, json_flag, print_json, print_table
from lab.cli.run_json import as_dict
from lab.comparison.runs import Comparison, compare_runs, compare_settings
from lab.comparison.words import MCNEMAR_NOTE, notes_of, verdict_text
from lab.config.repeats import REPEATED
from lab.lazy import load
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.sharing.comparison import comparison_table, differing_settings, list_results, result_of, run_labels
from lab.sharing.tables import shown


@click.command()
@click.argument("runs", nargs=-1)
@click.option("--a", "side_a", multiple=True, metavar="RUN", help="A run of side A; give it once for each run.")
@click.option("--b", "side_b", multiple=True, metavar="RUN", help="A run of side B; give it once for each run.")
@click.option(
    "--verdict", is_flag=True, help="Test whether B is better than A; with RUNS, compare each pair of settings."
)
@click.option("--mcnemar", is_flag=True, help="Compare the networks of two runs on the same test images.")
@click.option(
    "--paired/--independent",
    default=None,
    help="Whether to pair runs with equal seeds. [default: paired from 8 equal seeds on]",
)
@json_flag
@click.pass_obj
def compare(
    lab: Lab,
    runs: tuple[str, ...],
    side_a: tuple[str, ...],
    side_b: tuple[str, ...],
    verdict: bool,
    mcnemar: bool,
    paired: bool | None,
    as_json: bool,
) -> None:
    """Compare the settings and results of RUNS, or test whether one side is better.

    With --verdict the answer is yes, no difference shown, or not enough runs (five per side), with the difference B
    minus A in test accuracy, its 95 % interval and the p-value.
    """
    a, b = ([lab.store.runs.resolve(run) for run in side] for side in (side_a, side_b))
    records = [lab.store.runs.resolve(run) for run in runs]
    _check(records, a, b, judge=verdict or mcnemar)
    if mcnemar:
        _mcnemar(lab, [*records, *a, *b], as_json=as_json)
    elif not verdict:
        _table(records, as_json=as_json)
    else:
        found = (compare_runs(a, b, paired=paired),) if a or b else compare_settings(records, paired=paired)
        _verdicts(found, as_json=as_json)


def _check(runs: Sequence[RunRecord], a: Sequence[RunRecord], b: Sequence[RunRecord], *, judge: bool) -> None:
    if not (runs or a or b):
        raise click.UsageError("Name the RUNS to compare, or two sides with --a RUN and --b RUN.")
    if runs and (a or b):
        raise click.UsageError("Give either RUNS or the sides --a and --b, not both.")
    if (a or b) and not judge:
        raise click.UsageError("--a and --b are for --verdict and --mcnemar: add one of them.")


def _mcnemar(lab: Lab, pair: Sequence[RunRecord], *, as_json: bool) -> None:
    if len(pair) != 2:
        raise click.UsageError(f"McNemar's test compares two networks, but {len(pair)} runs were named.")
    verdict = load("lab.service.answers:compare_networks")(lab, *pair)
    labels = _labels(pair)
    text = verdict_text(verdict, a=_name("A", [pair[0]], labels), b=_name("B", [pair[1]], labels))
    if as_json:
        print_json({**verdict.as_dict(), "text": text, "notes": [MCNEMAR_NOTE]})
    else:
        echo(f"{text}\n{MCNEMAR_NOTE}")


def _verdicts(found: Sequence[Comparison], *, as_json: bool) -> None:
    labels = _labels([run for one in found for run in (*one.a.runs, *one.b.runs)])
    answers = [_answer(one, labels) for one in found]
    if as_json:
        print_json(answers[0] if len(answers) == 1 else {"verdicts": answers})
        return
    for one, answer in zip(found, answers, strict=True):
        which = "" if len(found) == 1 else f"{labels[one.a.runs[0].id]} and {labels[one.b.runs[0].id]}: "
        echo("\n".join([f"{which}{answer['text']}", *answer["notes"]]))


def _answer(one: Comparison, labels: Mapping[str, str]) -> dict[str, Any]:
    text = verdict_text(one.verdict, a=_name("A", one.a.runs, labels), b=_name("B", one.b.runs, labels))
    return {
        **one.verdict.as_dict(),
        "text": text,
        "notes": list(notes_of(one)),
        "sampling_error": one.sampling_error,
        "a": [run.id for run in one.a.runs],
        "b": [run.id for run in one.b.runs],
    }


def _name(side: str, runs: Sequence[RunRecord], labels: Mapping[str, str]) -> str:
    """Return a name such as "B (lr 0.01)": the side, and the label of its first run."""
    return f"{side} ({labels[runs[0].id]})" if runs else side


def _labels(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return a label for the setting of each run, which distinguishes it from the other runs, by the run's id."""
    return {run.id: label for run, label in zip(runs, run_labels(runs, without=REPEATED), strict=True)}


def _table(records: Sequence[RunRecord], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "runs": [as_dict(run) for run in records],
                "labels": run_labels(records),
                "differences": differing_settings(records),
                "results": {key: [result_of(run, key) for run in records] for key in list_results()},
            }
        )
        return
    table = comparison_table(records)
    numbers = list(list_results().values())
    print_table(
        table.columns,
        [[shown(cell, column=c) for cell, c in zip(row, table.columns, strict=True)] for row in table.rows],
        right=numbers,
    )
