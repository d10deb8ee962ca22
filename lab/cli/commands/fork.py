"""`fork`: continue from a saved epoch of a run with other settings."""

from typing import Any

import click

from lab.cli.commands.train import answer
from lab.cli.options import Asked, asking_options, parse_setting, run_options
from lab.cli.output import json_flag
from lab.errors import ConfigError
from lab.runs.edits import NAME_LIMIT
from lab.service.forks import find_fork_point, fork_config
from lab.service.lab import Lab
from lab.service.lineage import change_words


@click.command()
@click.argument("run")
@click.option(
    "--epoch", required=True, type=click.IntRange(min=1), metavar="N", help="The saved epoch to continue from."
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting, such as lr=0.01, or an option of the network, such as dropout=0.5; can be given several "
    "times.",
)
@run_options
@asking_options
@json_flag
@click.pass_obj
def fork(
    lab: Lab,
    /,
    run: str,
    epoch: int,
    changes: tuple[str, ...],
    name: str,
    tags: tuple[str, ...],
    no_cache: bool,
    detach: bool,
    asked: Asked,
    as_json: bool,
) -> None:
    """Continue from a saved epoch of RUN with other settings.

    The new run starts with the weights, the optimizer state and the random state of RUN after epoch N. `epochs` counts
    from the start of RUN.
    """
    record = lab.store.runs.resolve(run)
    point = find_fork_point(lab.store, record, epoch)
    config = fork_config(point, **_changes(changes, before=point.run.config.arch_options))
    resolved = lab.validation.resolve(config)
    title = name or f"{record.name or record.id} after epoch {epoch}"[:NAME_LIMIT]
    submission = lab.submissions.submit(resolved, name=title, tags=tags, fresh=no_cache, **asked._asdict())
    if not as_json:
        click.echo(
            f"From {record.name or record.id} after epoch {epoch}: {change_words(record.config, resolved.config)}."
        )
    answer(lab, submission, detach=detach, as_json=as_json)


def _changes(given: tuple[str, ...], *, before: dict[str, Any]) -> dict[str, Any]:
    """Return the changed settings; changed options of the network are merged into those of the parent run."""
    settings: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for text in given:
        name, value, is_option = parse_setting(text)
        if name in ("fork_of", "fork_epoch"):
            raise ConfigError(f"{name} follows from RUN and --epoch: leave it out.", field=name)
        (options if is_option else settings)[name] = value
    return {**settings, "arch_options": {**before, **options}} if options else settings
