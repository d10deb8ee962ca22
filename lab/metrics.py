"""The list of metrics: what is measured, on which images, how often, how it is formatted, and how it is computed.

Charts, live view, CLI, CSV, TensorBoard, HTML report, bundle checks and docs are generated from `METRICS`. A metric's
id is its name in the store, in files and in JSON, so it never changes. A new metric is one row with the function that
computes it. No torch: functions receive numbers and NumPy arrays.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lab.errors import InputError, UnknownNameError, near_miss
from lab.formatting import format_percent


class Split(StrEnum):
    """The images that a metric is measured on; NONE for a metric of the run itself."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    NONE = ""

    @property
    def label(self) -> str:
        """The display name, such as "validation"."""
        return {Split.TRAIN: "training", Split.VAL: "validation"}.get(self, self.value)


HELD_OUT = (Split.VAL, Split.TEST)


class Cadence(StrEnum):
    """How often a metric is recorded."""

    BATCH = "every batch"
    EVALUATION = "every evaluation"  # before training, after each epoch, and in between if `eval_every` is set
    EPOCH = "every epoch"
    CHANGE = "every epoch, and wherever it changes"


class Unit(StrEnum):
    """The unit of a quantity."""

    NUMBER = "number"
    SHARE = "share"  # in [0, 1], written as per cent
    PER_SECOND = "1/s"
    MEGABYTES = "MB"


class Better(StrEnum):
    """The direction in which a quantity improves, if any."""

    UP = "up"
    DOWN = "down"
    NEITHER = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is measured, regardless of the images.

    title: in lower case, for sentences and legends. unbounded: whether values of a diverging run can be far beyond
    those of normal runs. hover: d3 format of one value.
    """

    id: str
    title: str
    unit: Unit = Unit.NUMBER
    better: Better = Better.NEITHER
    unbounded: bool = False
    hover: str = ".4~g"

    @property
    def is_share(self) -> bool:
        """Whether values are shares in [0, 1]."""
        return self.unit is Unit.SHARE

    def format(self, value: float, *, digits: int = 2) -> str:
        """Return one value as text: per cent with `digits` decimals, or four significant digits."""
        return format_percent(value, digits=digits) if self.is_share else f"{value:.4g}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the engine measured in a training epoch or an evaluation: the input of `MetricSpec.compute`.

    loss: mean over the images. accuracy: share of correct predictions in [0, 1]. learning_rate: of the last step.
    gradient_norm: before clipping. logits (N, K) and labels (N,): only of an evaluation, None for training.
    """

    loss: float
    accuracy: float
    images: int
    learning_rate: float = np.nan
    gradient_norm: float = np.nan
    images_per_second: float = np.nan
    memory_mb: float = np.nan
    logits: npt.NDArray[np.float32] | None = None
    labels: npt.NDArray[np.int64] | None = None


Compute = Callable[[Measurement], float]


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric. id: its name in the store and in files. help: one sentence for the docs.

    chart: id of the chart that shows it, by default that of its quantity. compute: computes the value from a
    measurement of `split` (of training if there is no split); None for metrics that the engine records at every batch.
    """

    id: str
    quantity: Quantity
    help: str
    split: Split = Split.NONE
    cadence: Cadence = Cadence.EPOCH
    chart: str = ""
    compute: Compute | None = field(default=None, repr=False, compare=False)

    @property
    def title(self) -> str:
        """The display name in lower case, such as "validation loss", or "batch loss" for a metric of one batch."""
        if self.cadence is Cadence.BATCH:
            return f"batch {self.quantity.title}"
        return f"{self.split.label} {self.quantity.title}".strip()

    @property
    def chart_id(self) -> str:
        """The id of the chart that shows the metric."""
        return self.chart or self.quantity.id

    @property
    def result_key(self) -> str:
        """The metric's key in a run's results, such as "val_loss"."""
        return self.id.replace("/", "_")

    @property
    def short(self) -> str:
        """The id as the heading of a narrow column."""
        return self.id.replace(ACCURACY.id, "acc")


LOSS = Quantity("loss", "loss", better=Better.DOWN, unbounded=True, hover=".4g")
ACCURACY = Quantity("accuracy", "accuracy", Unit.SHARE, Better.UP, hover=".2%")
RATE = Quantity("lr", "learning rate")
GRADIENT = Quantity("grad-norm", "gradient norm", unbounded=True)
SPEED = Quantity("speed", "images per second", Unit.PER_SECOND, Better.UP)
MEMORY = Quantity("memory", "memory (MB)", Unit.MEGABYTES, Better.DOWN)

BATCH_LOSS = MetricSpec("batch/loss", LOSS, "Mean loss of a batch, before its update.", Split.TRAIN, Cadence.BATCH)
BATCH_ACCURACY = MetricSpec(
    "batch/accuracy", ACCURACY, "Share of a batch classified correctly, before its update.", Split.TRAIN, Cadence.BATCH
)
TRAIN_LOSS = MetricSpec(
    "train/loss",
    LOSS,
    "Mean of an epoch's batch losses, weighted by batch size.",
    Split.TRAIN,
    chart="epoch-loss",
    compute=lambda m: m.loss,
)
TRAIN_ACCURACY = MetricSpec(
    "train/accuracy",
    ACCURACY,
    "Share of an epoch's training images classified correctly, each before its update.",
    Split.TRAIN,
    chart="epoch-accuracy",
    compute=lambda m: m.accuracy,
)
VAL_LOSS = MetricSpec(
    "val/loss",
    LOSS,
    "Mean loss on the validation images.",
    Split.VAL,
    Cadence.EVALUATION,
    compute=lambda m: m.loss,
)
VAL_ACCURACY = MetricSpec(
    "val/accuracy",
    ACCURACY,
    "Share of the validation images classified correctly.",
    Split.VAL,
    Cadence.EVALUATION,
    compute=lambda m: m.accuracy,
)
TEST_LOSS = MetricSpec(
    "test/loss", LOSS, "Mean loss on the test images.", Split.TEST, Cadence.EVALUATION, compute=lambda m: m.loss
)
TEST_ACCURACY = MetricSpec(
    "test/accuracy",
    ACCURACY,
    "Share of the test images classified correctly.",
    Split.TEST,
    Cadence.EVALUATION,
    compute=lambda m: m.accuracy,
)
LEARNING_RATE = MetricSpec(
    "lr", RATE, "Learning rate of a step.", cadence=Cadence.CHANGE, compute=lambda m: m.learning_rate
)
GRADIENT_NORM = MetricSpec(
    "grad_norm",
    GRADIENT,
    "2-norm of all gradients at an epoch's last step, before clipping.",
    compute=lambda m: m.gradient_norm,
)
IMAGES_PER_SECOND = MetricSpec(
    "images_per_second", SPEED, "Training images per second of an epoch.", compute=lambda m: m.images_per_second
)
MEMORY_MB = MetricSpec(
    "memory_mb", MEMORY, "Peak memory in MiB: of the GPU, or of the process.", compute=lambda m: m.memory_mb
)

METRICS: dict[str, MetricSpec] = {}


def register_metric(spec: MetricSpec) -> MetricSpec:
    """Add a metric to the list. Raises `InputError` if the id is already used or the help is empty."""
    if spec.id in METRICS:
        raise InputError(f"There is already a metric {spec.id!r}: choose another id.")
    if not spec.help:
        raise InputError(f"The metric {spec.id!r} has no help: say in one sentence what it measures.")
    METRICS[spec.id] = spec
    return spec


def unregister_metric(id: str) -> None:
    """Remove a metric from the list. Raises `UnknownNameError` for an unknown id."""
    del METRICS[get_metric(id).id]


for _spec in (
    BATCH_LOSS,
    BATCH_ACCURACY,
    TRAIN_LOSS,
    TRAIN_ACCURACY,
    VAL_LOSS,
    VAL_ACCURACY,
    TEST_LOSS,
    TEST_ACCURACY,
    LEARNING_RATE,
    GRADIENT_NORM,
    IMAGES_PER_SECOND,
    MEMORY_MB,
):
    register_metric(_spec)


def get_metric(id: str) -> MetricSpec:
    """Return the metric with this id. Raises `UnknownNameError`, which suggests the closest id."""
    if id not in METRICS:
        raise UnknownNameError(f"There is no metric {id!r}. {near_miss(id, METRICS)}", field="metric")
    return METRICS[id]


def list_metrics(*, splits: Iterable[Split] | None = None, cadence: Cadence | None = None) -> tuple[MetricSpec, ...]:
    """Return the metrics in order. splits, cadence: only the metrics with one of these splits and this cadence."""
    chosen = set(Split if splits is None else splits)
    return tuple(m for m in METRICS.values() if m.split in chosen and cadence in (None, m.cadence))


def list_epoch_metrics() -> tuple[MetricSpec, ...]:
    """Return the metrics of epochs and evaluations in order: all except those recorded at every batch."""
    return tuple(metric for metric in METRICS.values() if metric.cadence is not Cadence.BATCH)


def list_results() -> tuple[MetricSpec, ...]:
    """Return the metrics by which runs are compared: those on held-out images."""
    return list_metrics(splits=HELD_OUT)


@lru_cache(maxsize=1_024)  # called for every stored fact of every run in a list
def is_share(name: str) -> bool:
    """Return whether the values of a series, or of a result such as "test_accuracy", are shares in [0, 1].

    A name that this release does not know counts as a share if it ends with the id of a known one.
    """
    spec = METRICS.get(name)
    return spec.quantity.is_share if spec else _has_quantity(name, lambda quantity: quantity.is_share)


def is_unbounded(name: str) -> bool:
    """Return whether a diverging run can have values far beyond those of other runs; unknown names as in `is_share`."""
    spec = METRICS.get(name)
    return spec.quantity.unbounded if spec else _has_quantity(name, lambda quantity: quantity.unbounded)


def _has_quantity(name: str, test: Callable[[Quantity], bool]) -> bool:
    return any(name.endswith(spec.quantity.id) for spec in METRICS.values() if test(spec.quantity))


def format_metric(name: str, value: float, *, digits: int = 2) -> str:
    """Return a value of a series or result as text: shares as per cent, other numbers with four significant digits."""
    return format_percent(value, digits=digits) if is_share(name) else f"{value:.4g}"


def metric_title(name: str) -> str:
    """Return the display name of a series; for a series that this release does not know, the name itself."""
    return METRICS[name].title if name in METRICS else name


def compute_metrics(split: Split, measurement: Measurement) -> dict[str, float]:
    """Return the metrics of a measurement on this split by id; training also has the metrics without a split."""
    splits = (split, Split.NONE) if split is Split.TRAIN else (split,)
    return {
        metric.id: metric.compute(measurement)
        for metric in METRICS.values()
        if metric.split in splits and metric.compute is not None
    }


def result_keys(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that belong to a split under their result keys, such as "val_loss"."""
    return {name.replace("/", "_"): value for name, value in metrics.items() if "/" in name}
