"""Collects what a report shows of a run in addition to its curves: confusion matrix, errors and feature maps.

Evaluation has a time budget, so the report states how many test images were evaluated.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lab.charts.data_url import png_url
from lab.charts.tiles import grid, image_tiles, paint
from lab.data.load import Dataset
from lab.errors import ArtifactError, DataError, InputError
from lab.formatting import format_percent, plural
from lab.inspection.kernels import list_convolutions
from lab.inspection.metrics import Answers, as_rates, confusion_matrix, most_confident_errors, per_class, score_logits
from lab.inspection.observe import compute_logits, feature_maps, to_input
from lab.loaded_network import LoadedNetwork
from lab.runs.records import RunRecord
from lab.sharing.source import Source

_FIRST_IMAGES = 16  # evaluated first to estimate the time of the rest; at 224 pixels each may take a second
_MISTAKES = 24
_MAPS = 32
_MAP_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as a data URL, with its alt text."""

    source: str
    alt_text: str


@dataclass(frozen=True, slots=True)
class ConfusionCell:
    """One cell: the number of images, and their share of the row in [0, 1]."""

    count: int
    share: float


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One true class: its cells, one per predicted class, and precision, recall and F1 in [0, 1] (NaN if undefined)."""

    name: str
    cells: tuple[ConfusionCell, ...]
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Examination:
    """The measurements on a run's network; `missing` states why there is none."""

    missing: str = ""
    epoch: str = ""  # such as "3 of 5 (best)"
    images: int = 0
    test_images: int = 0
    accuracy: float = float("nan")
    classes: tuple[str, ...] = ()
    rows: tuple[ClassRow, ...] = ()
    mistakes: tuple[Picture, ...] = ()
    maps: tuple[Picture, ...] = ()


def examine_run(
    source: Source, run: RunRecord, *, budget_s: float, clock: Callable[[], float] = time.perf_counter
) -> Examination:
    """Return the evaluation of the run's best saved network on its test set, and feature maps.

    budget_s: approximate limit for the evaluation, in seconds.
    """
    try:
        loaded = source.weights.load(run.id)
        dataset = source.datasets.load(run.config.dataset)
    except (InputError, ArtifactError, DataError) as error:
        return Examination(missing=str(error))
    answers = _evaluate(loaded, dataset, budget_s=budget_s, clock=clock)
    names = loaded.class_names
    confusion = confusion_matrix(answers.labels, answers.predicted, classes=len(names))
    return Examination(
        epoch=loaded.result.epoch_text(run.config.epochs) if loaded.result else str(loaded.epoch),
        images=len(answers.labels),
        test_images=len(dataset.test_labels),
        accuracy=answers.accuracy,
        classes=names,
        rows=_class_rows(confusion, names),
        mistakes=_mistakes(answers, dataset, names),
        maps=_maps(loaded, dataset),
    )


def _evaluate(loaded: LoadedNetwork, dataset: Dataset, *, budget_s: float, clock: Callable[[], float]) -> Answers:
    images, labels = dataset.test_images, dataset.test_labels
    began = clock()
    first = _logits(loaded, images[:_FIRST_IMAGES])
    each_s = (clock() - began) / len(first)
    affordable = len(first) + int(max(0.0, budget_s - (clock() - began)) / each_s) if each_s > 0 else len(images)
    end = min(len(images), affordable)
    logits = first if end <= len(first) else np.concatenate([first, _logits(loaded, images[len(first) : end])])
    return score_logits(logits, labels[: len(logits)])


def _logits(loaded: LoadedNetwork, images: np.ndarray) -> np.ndarray:
    return compute_logits(loaded.network, images, mean=loaded.mean, std=loaded.std)


def _class_rows(confusion: np.ndarray, names: tuple[str, ...]) -> tuple[ClassRow, ...]:
    rates, figures = as_rates(confusion), per_class(confusion)
    return tuple(
        ClassRow(
            name,
            tuple(ConfusionCell(int(n), float(r)) for n, r in zip(confusion[k], rates[k], strict=True)),
            float(figures.precision[k]),
            float(figures.recall[k]),
            float(figures.f1[k]),
        )
        for k, name in enumerate(names)
    )


def _mistakes(answers: Answers, dataset: Dataset, names: tuple[str, ...]) -> tuple[Picture, ...]:
    return tuple(
        Picture(
            png_url(grid(image_tiles(dataset.test_images[index : index + 1]), enlarge=3, gap=0)),
            f"test:{index} is {names[answers.labels[index]]}, predicted {names[answers.predicted[index]]} "
            f"({format_percent(float(answers.confidence[index]), digits=1)} confidence)",
        )
        for index in most_confident_errors(answers, limit=_MISTAKES).tolist()
    )


def _maps(loaded: LoadedNetwork, dataset: Dataset) -> tuple[Picture, ...]:
    """Return the first test image and the feature maps of the first, middle and last convolution for it."""
    layers = list_convolutions(loaded.network)
    chosen = sorted({0, len(layers) // 2, len(layers) - 1}) if layers else []
    x_1CHW = to_input(dataset.test_images[:1], mean=loaded.mean, std=loaded.std)
    pictures = [Picture(png_url(grid(image_tiles(dataset.test_images[:1]), enlarge=4, gap=0)), "The image (test:0)")]
    for place in chosen[:_MAP_LAYERS]:
        maps = feature_maps(loaded.network, x_1CHW, layer=layers[place])
        side = maps.values.shape[-1]
        sheet = grid(paint(maps.values[:_MAPS], each=True), enlarge=max(1, 56 // side), gap=2)
        count = len(maps.values)
        shown = plural(count, "map") if count <= _MAPS else f"{_MAPS} of {count} maps"
        pictures.append(Picture(png_url(sheet), f"{layers[place]}: {shown} of {side}×{side}"))
    return tuple(pictures)
