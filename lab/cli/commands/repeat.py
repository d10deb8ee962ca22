"""`repeat`: train the settings of a run with other seeds, or on the folds of a cross-validation."""

import click

from lab.cli.commands.train import follow, result
from lab.cli.options import Asked, asking_options
from lab.cli.output import echo, json_flag, print_json
from lab.comparison.sides import make_side
from lab.config.repeats import repeat_text
from lab.formatting import plural
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.service.repeats import USUAL_SEEDS
from lab.spread import format_result


@click.command()
@click.argument("run")
@click.option(
    "--seeds",
    type=int,
    metavar="N",
    help=f"Total number of seeds, including those already trained. [default: {USUAL_SEEDS}; with --folds, 1]",
)
@click.option(
    "--folds",
    default=0,
    metavar="K",
    help="Divide the training images into K folds and hold out each fold once, for every seed.",
)
@click.option("--detach", is_flag=True, help="Queue the runs and return; a background worker trains them.")
@asking_options
@json_flag
@click.pass_obj
def repeat(
    lab: Lab,
    /,
    run: str,
    seeds: int | None,
    folds: int,
    detach: bool,
    asked: Asked,
    as_json: bool,
) -> None:
    """Train the settings of RUN with further seeds, up to N in all, or on each of K folds.

    Stored runs are not trained again. Ctrl-C stops the run in training; the others stay queued.
    """
    repeats = lab.repeating.fill(lab.store.runs.resolve(run), seeds=seeds, folds=folds or None, **asked._asdict())
    if any(one.state.live for one in repeats.runs):
        lab.workers.ensure()
    added = {one.id for one in repeats.queued}
    runs = [follow(lab, one, quiet=as_json) if one.state.live and not detach else one for one in repeats.runs]
    if as_json:
        print_json(
            {
                "seeds": list(repeats.seeds),
                "folds": runs[0].config.folds if runs else folds,
                "queued": len(added),
                "runs": [result(one, cached=one.id not in added) | _which(one) for one in runs],
            }
        )
        return
    for one in runs:
        state = one.headline_text if one.state is RunState.FINISHED else one.status
        echo(f"{repeat_text(one.config)}  run {one.id}  {state}")
    side = make_side("", runs)
    measured = f" {side.measure.title.capitalize()}: {format_result(side.measure.result_key, side.spread)}."
    echo(f"{plural(len(added), 'run')} added.{measured if side.spread else ''}")


def _which(run: RunRecord) -> dict[str, int]:
    """Return the seed of a run, and its fold if it has one."""
    return {"seed": run.config.seed} | ({"fold": run.config.fold} if run.config.folds else {})
