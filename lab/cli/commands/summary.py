"""`summary`: print a network's layers, counted without allocating its weights.

What imports torch is imported when it is called, so that help and refusals do not wait for it.
"""

import click

from lab.architectures.registry import check_options, find_layer_list, get_architecture, resolve_input_size
from lab.cli.options import parse_option
from lab.cli.output import json_flag, print_json
from lab.config import INPUT_SIZES, RunConfig
from lab.data.registry import get_dataset_spec
from lab.lazy import load


@click.command()
@click.argument("arch")
@click.option(
    "--batch-size",
    default=64,
    show_default=True,
    type=click.IntRange(1, 65_536),
    metavar="N",
    help="Batch size for which mult-adds and memory are counted.",
)
@click.option(
    "--input-size",
    default="auto",
    show_default=True,
    metavar="|".join(INPUT_SIZES),
    help="Side of the square to which images are resized; auto uses the network's default.",
)
@click.option(
    "--arch-option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the network (see `architectures`); can be given several times.",
)
@click.option(
    "--classes",
    default=10,
    show_default=True,
    type=click.IntRange(2, 1_000),
    metavar="N",
    help="Number of classes.",
)
@click.option(
    "--dataset",
    default=RunConfig().dataset,
    show_default=True,
    metavar="ID",
    help="Data set whose image size and channels are used.",
)
@json_flag
def summary(
    arch: str, batch_size: int, input_size: str, options: tuple[str, ...], classes: int, dataset: str, as_json: bool
) -> None:
    """Print a network's layers, parameters, mult-adds and memory.

    They are counted as in torchinfo.
    """
    entry = get_architecture(arch)
    spec = get_dataset_spec(dataset)
    side = resolve_input_size(entry, input_size, image_size=spec.image_size)
    chosen = check_options(entry, dict(parse_option(text) for text in options))
    with load("torch:device")("meta"):  # no memory is allocated for the weights
        network = load("lab.architectures.build:build_network")(
            arch,
            classes=classes,
            image_size=spec.image_size,
            channels=spec.channels,
            input_size=input_size,
            options=chosen,
        )
    made = load("lab.inspection.summary:summarize")(network, input_shape=(batch_size, *spec.image_shape))
    layers = load("lab.architectures.custom:layers_as_text")(network)
    if not as_json:
        click.echo(made.text)
        if layers is not None and not entry.lists_layers:
            custom, option = find_layer_list()
            size = "" if side == spec.image_size else f" --input-size {side}"
            click.echo(f'The same layers, to edit: --arch {custom.id}{size} --arch-option "{option.name}={layers}"')
        return
    print_json(
        {
            **made.as_dict(),
            "batch_size": made.batch,
            "mult_adds_per_image": made.mult_adds_per_image,
            "layer_list": layers,
        }
    )
