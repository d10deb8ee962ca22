"""`repeat`: the settings of a run with other seeds."""

import click

from lab.cli.commands.train import follow, result
from lab.cli.options import executor_option, queue_options
from lab.cli.output import echo, json_flag, print_json
from lab.formatting import plural
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.service.repeats import USUAL_SEEDS
from lab.sharing.comparison import result_of
from lab.spread import format_result, spread_of


@click.command()
@click.argument("run")
@click.option(
    "--seeds", default=USUAL_SEEDS, show_default=True, metavar="N", help="How many seeds there shall be in all."
)
@click.option("--detach", is_flag=True, help="Queue the runs and return; a background worker trains them.")
@queue_options
@executor_option
@json_flag
@click.pass_obj
def repeat(
    lab: Lab,
    /,
    run: str,
    seeds: int,
    detach: bool,
    owner: str | None,
    priority: int,
    executor: str | None,
    as_json: bool,
) -> None:
    """Train the settings of RUN with other seeds, until there are N seeds of them.

    Seeds that are there already are not trained again. Ctrl-C stops the run that is being trained; the others stay queued.
    """
    repeats = lab.repeating.fill(
        lab.store.runs.resolve(run), seeds=seeds, owner=owner, priority=priority, executor=executor
    )
    if any(one.state.live for one in repeats.runs):
        lab.workers.ensure()
    added = {one.id for one in repeats.queued}
    runs = [follow(lab, one, quiet=as_json) if one.state.live and not detach else one for one in repeats.runs]
    if as_json:
        print_json(
            {
                "seeds": list(repeats.seeds),
                "queued": len(added),
                "runs": [result(one, cached=one.id not in added) | {"seed": one.config.seed} for one in runs],
            }
        )
        return
    for one in runs:
        state = one.headline_text if one.state is RunState.FINISHED else one.state.value
        echo(f"seed {one.config.seed:>3}  run {one.id}  {state}")
    spread = spread_of(result_of(one, "test_accuracy") for one in runs if one.state is RunState.FINISHED)
    mean = f" Test accuracy: {format_result('test_accuracy', spread)}." if spread else ""
    echo(f"{plural(len(added), 'run')} added.{mean}")
