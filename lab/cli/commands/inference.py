"""Commands that run a saved network: predict, evaluate, robustness, inspect.

What imports torch or Pillow is imported when it is called, so that help and refusals do not wait for it.
"""

import sys
from pathlib import Path
from typing import Any

import click
import numpy as np

from lab.cli.output import echo, echo_written, json_flag, print_json, print_table, write_file
from lab.errors import InputError, near_miss
from lab.formatting import format_loss, format_percent, plural
from lab.inspection.distortions import DISTORTIONS, Robustness, read_robustness
from lab.lazy import load
from lab.loaded_network import EpochChoice
from lab.service.lab import Lab
from lab.settings import user_path

epoch_option = click.option(
    "--epoch",
    default="best",
    show_default=True,
    metavar="N",
    help="Epoch whose weights are used: a number, best or latest.",
)


_WHICH = {
    "best": "best: lowest validation loss",
    "last": "last: nothing was validated",
    "untested": "stopped inside this epoch",
}


def read_epoch(text: str) -> EpochChoice:
    """Parse an epoch: a number, "best" or "latest". Raises `InputError` for anything else."""
    words: dict[str, EpochChoice] = {"best": "best", "latest": "latest"}
    if text in words:
        return words[text]
    if not (text.isdecimal() and len(text) < 10):  # isdigit would accept ²
        raise InputError(f"The epoch is {text!r}, but it must be a number, best or latest.")
    return int(text)


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", type=click.Path(path_type=Path))
@click.option(
    "--sketch",
    is_flag=True,
    help="The images are photos or scans of any size and polarity: find the digits and classify each.",
)
@epoch_option
@json_flag
@click.pass_obj
def predict(lab: Lab, run: str, images: tuple[Path, ...], sketch: bool, epoch: str, as_json: bool) -> None:
    """Classify image files with a run's network.

    If some of several files cannot be read, they are reported, the others are classified, and the exit code is 1.
    """
    loaded = lab.weights.load(lab.store.runs.resolve(run).id, epoch=read_epoch(epoch))
    pictures = [(str(path), _content(path)) for path in images]
    predict_images = load("lab.sketch.files:predict_images")
    answers = predict_images(loaded, pictures, dataset=lab.datasets.load(loaded.run.config.dataset), sketch=sketch)
    if as_json:
        print_json({"run": loaded.run.id, "epoch": loaded.epoch, "predictions": answers})
    else:
        print_table(("image", "prediction", "probability", ""), [_row(a) for a in answers], right=("probability",))
    if any("error" in answer for answer in answers):
        sys.exit(1)


def _row(answer: dict[str, Any]) -> tuple[str, str, str, str]:
    """Return one row of the table; with several digits, the probability is the lowest of theirs."""
    parts = [part["probabilities"] for part in answer.get("digits", [])] or [answer["probabilities"]]
    shares = [max(probabilities) for probabilities in parts if probabilities]
    note = "; ".join(["unsure", *answer["reasons"]] if answer["unsure"] else [])
    if answer["label"] is None:
        note = answer.get("error") or answer["reason"]
    elif len(parts) > 1:
        note = f"{len(parts)} digits" + (f"; {note}" if note else "")
    return answer["image"], answer["label"] or "–", format_percent(min(shares) if shares else None), note


def _content(path: Path) -> bytes | InputError:
    """Return the bytes of a file, or the error why it cannot be read, so that the other files are still classified."""
    try:
        content: bytes = load("lab.data.pictures:read_file")(user_path(path), name=str(path))
    except InputError as error:
        return error
    return content


@click.command()
@click.argument("run")
@epoch_option
@click.option("--all-epochs", is_flag=True, help="Evaluate every saved epoch.")
@json_flag
@click.pass_obj
def evaluate(lab: Lab, run: str, epoch: str, all_epochs: bool, as_json: bool) -> None:
    """Evaluate a run's saved weights on the test set.

    Prints accuracy and cross-entropy (`loss` in --json); `show` has the loss with which a run was trained. --json adds
    the metrics per class and the confusion matrix.
    """
    requested = read_epoch(epoch)
    record = lab.store.runs.resolve(run)
    files = lab.weights.list(record.id) if all_epochs else ()
    files = files or (lab.weights.find(record.id, epoch=requested),)
    answering = record.headline
    data = lab.datasets.load(record.config.dataset)
    reports: list[dict[str, Any]] = []
    for file in files:
        loaded = lab.weights.load_file(record, file)
        made = load("lab.inspection.report:evaluate_network")(
            loaded.network,
            data.test_images,
            data.test_labels,
            mean=loaded.mean,
            std=loaded.std,
            classes=loaded.class_names,
        )
        answers = file.step == answering.step
        reports.append(
            {"epoch": file.epoch, "step": file.step, "which": answering.which if answers else "", **made.as_dict()}
        )
        if not as_json:
            mark = f"  {_WHICH.get(answering.which, '')}" if answers else ""
            accuracy = f"{format_percent(made.accuracy)} test"
            click.echo(
                f"epoch {file.epoch:>3} of {record.config.epochs}  {accuracy}  "
                f"cross-entropy {format_loss(made.loss)}{mark}"
            )
    if as_json:
        print_json({"run": record.id, "epochs": reports} if all_epochs else {"run": record.id, **reports[0]})


@click.command()
@click.argument("run")
@click.option(
    "--distortion",
    "names",
    multiple=True,
    metavar="NAME",
    help=f"Distortion to measure, several times for several; all by default: {', '.join(DISTORTIONS)}.",
)
@click.option(
    "--images",
    default=1_000,
    show_default=True,
    type=click.IntRange(min=1),
    help="Number of test images at each level.",
)
@epoch_option
@json_flag
@click.pass_obj
def robustness(lab: Lab, run: str, names: tuple[str, ...], images: int, epoch: str, as_json: bool) -> None:
    """Evaluate a run's network on distorted test images: rotated, shifted, blurred, noisy and others.

    The test images are evenly spaced over the test set, and are the same for every run.
    """
    unknown = next((name for name in names if name not in DISTORTIONS), None)
    if unknown is not None:
        raise InputError(f"There is no distortion {unknown!r}. {near_miss(unknown, DISTORTIONS)}")
    loaded = lab.weights.load(lab.store.runs.resolve(run).id, epoch=read_epoch(epoch))
    data = lab.datasets.load(loaded.run.config.dataset)
    measure = load("lab.inspection.distort:measure_robustness")
    found: list[Robustness] = [
        measure(
            loaded.network,
            data.test_images,
            data.test_labels,
            name=name,
            count=images,
            mean=loaded.mean,
            std=loaded.std,
        )
        for name in names or DISTORTIONS
    ]
    if as_json:
        levels = {
            each.distortion: [
                {"level": level, "accuracy": accuracy}
                for level, accuracy in zip(DISTORTIONS[each.distortion].levels, each.accuracies, strict=True)
            ]
            for each in found
        }
        print_json({"run": loaded.run.id, "epoch": loaded.epoch, "images": found[0].images, "distortions": levels})
        return
    for each in found:
        title, labels = DISTORTIONS[each.distortion].title, DISTORTIONS[each.distortion].labels
        shares = [format_percent(accuracy, digits=1) for accuracy in each.accuracies]
        print_table((title, "accuracy"), list(zip(labels, shares, strict=True)), right=(title, "accuracy"))
        echo(f"{read_robustness(each)}\n")


@click.command()
@click.argument("run")
@click.option("--layer", required=True, metavar="NAME", help="Name of the layer, as in `summary`.")
@click.option("--image", default="test:0", show_default=True, metavar="IMAGE", help="test:N, train:N or an image file.")
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="PNG file to write.")
@click.option("--per-channel", is_flag=True, help="One colour scale per channel instead of one for the layer.")
@epoch_option
@json_flag
@click.pass_obj
def inspect(
    lab: Lab, run: str, layer: str, image: str, out: Path, per_channel: bool, epoch: str, as_json: bool
) -> None:
    """Write a layer's feature maps for one image as a PNG."""
    loaded = lab.weights.load(lab.store.runs.resolve(run).id, epoch=read_epoch(epoch))
    picture, label = load("lab.inspection.images:pick_image")(
        image, lab.datasets.load(loaded.run.config.dataset), size=loaded.image_size, channels=loaded.channels
    )
    inspect_image = load("lab.inspection.report:inspect_image")
    seen = inspect_image(loaded.network, picture, layer=layer, mean=loaded.mean, std=loaded.std)
    maps = seen.maps.values
    grid, paint = (load(f"lab.charts.tiles:{name}") for name in ("grid", "paint"))
    write_file(out, grid(paint(maps, each=per_channel), enlarge=max(1, 84 // maps.shape[-1])))
    best = int(np.argmax(seen.probabilities))
    answer = {
        "run": loaded.run.id,
        "epoch": loaded.epoch,
        "layer": layer,
        "image": image,
        "truth": label,
        "label": loaded.class_names[best],
        "probabilities": seen.probabilities,
        "out": str(out),
        "channels": [
            {"channel": c, "mean": float(m), "sparsity": float(s)}
            for c, (m, s) in enumerate(zip(seen.maps.mean, seen.maps.sparsity, strict=True))
        ],
    }
    if as_json:
        print_json(answer)
    else:
        echo_written(
            out,
            f"{plural(len(maps), 'map')} of {layer} at epoch {loaded.epoch} {'is' if len(maps) == 1 else 'are'} in "
            f"{out}; the network classifies {image} as {loaded.class_names[best]} "
            f"({format_percent(float(seen.probabilities[best]))}).",
        )
