"""Verbs on what there is to train: architectures, presets, a network's summary."""

from typing import Any

import click

from lab.architectures.registry import check_options, get_architecture, list_architectures, resolve_input_size
from lab.cli.output import json_flag, print_json, print_table
from lab.cli.train import parse_option
from lab.config import INPUT_SIZES
from lab.formatting import format_percent
from lab.presets import list_presets


@click.command()
@json_flag
def architectures(as_json: bool) -> None:
    """List the networks and their options."""
    entries: list[dict[str, Any]] = [
        {
            "id": arch.id,
            "title": arch.title,
            "description": arch.description,
            "source": arch.source,
            "report": arch.report,
            "input_size": arch.default_input_size,
            "options": [{"name": o.name, "default": o.default, "rule": o.rule(), "help": o.help} for o in arch.options],
        }
        for arch in list_architectures()
    ]
    if as_json:
        print_json({"architectures": entries})
        return
    print_table(
        ("network", "input", "options", "what it is"),
        [
            (e["id"], e["input_size"], " ".join(f"{o['name']}={o['default']}" for o in e["options"]), e["description"])
            for e in entries
        ],
    )


@click.command()
@json_flag
def presets(as_json: bool) -> None:
    """List the reports' experiments and the lab's own quick starts."""
    entries: list[dict[str, Any]] = [
        {
            "id": p.id,
            "report": p.report,
            "title": p.title,
            "changes": dict(p.changes),
            "reported": dict(p.reported),
            "mistake": p.mistake,
            "ours": p.ours,
        }
        for p in list_presets()
    ]
    if as_json:
        print_json({"presets": entries})
        return
    print_table(
        ("preset", "report", "reported", "what it is"),
        [(e["id"], e["report"], format_percent(e["reported"].get("test_accuracy")), e["title"]) for e in entries],
        right=("reported",),
    )


@click.command()
@click.argument("arch")
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1, 65_536),
    metavar="N",
    help="Images in the batch that mult-adds and memory are counted for.",
)
@click.option(
    "--input-size",
    default="auto",
    show_default=True,
    metavar="|".join(INPUT_SIZES),
    help="Side of the square the images are resized to; auto is the network's own.",
)
@click.option(
    "--arch-option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the network, as `architectures` lists them; may be given several times.",
)
@click.option(
    "--classes",
    default=10,
    show_default=True,
    type=click.IntRange(2, 1_000),
    metavar="N",
    help="Classes to tell apart.",
)
@json_flag
def summary(arch: str, batch_size: int, input_size: str, options: tuple[str, ...], classes: int, as_json: bool) -> None:
    """Print a network's layers, parameters, mult-adds and memory, as torchinfo counts them."""
    import torch

    from lab.architectures.build import build_network
    from lab.inspection.summary import summarize

    entry = get_architecture(arch)
    resolve_input_size(entry, input_size)
    chosen = check_options(entry, dict(parse_option(text) for text in options))
    with torch.device("meta"):  # counting needs no weights
        network = build_network(arch, classes=classes, input_size=input_size, options=chosen)
    shape = (batch_size, 1, 28, 28)
    made = summarize(network, input_shape=shape)
    if not as_json:
        click.echo(made.text)
        return
    print_json({**made.as_dict(), "batch_size": made.batch, "mult_adds_per_image": made.mult_adds_per_image})


COMMANDS = (architectures, presets, summary)
