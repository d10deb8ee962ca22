"""A view of a run's curves for the rules: metrics at the ends of epochs, the initial loss, the level of guessing.

Arrays are float64 in step order and may contain NaN and infinities. Curves are not assumed to be consistent with each
other.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lab.architectures.registry import complete_options, get_architecture
from lab.config import RunConfig
from lab.config.fields import Option
from lab.errors import ConfigError
from lab.formatting import format_loss, format_percent
from lab.metrics import (
    BATCH_LOSS,
    HELD_OUT,
    TEST_ACCURACY,
    TEST_LOSS,
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    Cadence,
    MetricSpec,
    Split,
    list_metrics,
    list_results,
)

Values = npt.NDArray[np.float64]
RECENT_STEPS = 100  # batches averaged for the current loss, because a single batch is too noisy
_FEWEST_RECENT = 10  # the same, for epochs of few batches
SPLITS = (Split.TRAIN, *HELD_OUT)
_ASSUMED_IMBALANCE = 1.2  # largest class over an even share, if the run did not record it; 1.13 for MNIST
_DEVIATIONS = 3.0  # standard errors above the largest class's share that still count as guessing
_HALF = 0.5  # of the way to all images right: the largest allowance for splits with few images
_ASSUMED_IMAGES = 300
ACCURACIES = {Split.TRAIN: TRAIN_ACCURACY, Split.VAL: VAL_ACCURACY, Split.TEST: TEST_ACCURACY}
_TRAINING = list_metrics(splits=[Split.TRAIN], cadence=Cadence.EPOCH)
EPOCH_METRICS = (*_TRAINING, *list_results())
_EMPTY = np.empty(0)


class Curve(Protocol):
    """One metric in step order, such as a `lab.runs.records.Series`."""

    @property
    def step(self) -> np.ndarray: ...
    @property
    def value(self) -> np.ndarray: ...


@dataclass(frozen=True, slots=True)
class Points:
    """A curve with only steps and values."""

    step: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the rules need to know about the data: classes, and per split the images and the largest class's share."""

    classes: int
    images: Mapping[str, int] = field(default_factory=dict)
    largest: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, Any], *, classes: int) -> "DataFacts":
        """Return the facts that a run recorded; `share` and `chance` assume defaults for missing ones."""
        images: dict[str, int] = {s: int(n) for s in SPLITS if (n := _positive(environment.get(f"{s}_images"))) >= 1}
        largest: dict[str, float] = {
            s: p for s in SPLITS if 0 < (p := _positive(environment.get(f"{s}_largest_class"))) <= 1
        }
        return cls(classes, images, largest)

    def environment(self) -> dict[str, Any]:
        """Return the shares in the form in which a run records them."""
        return {f"{split}_largest_class": share for split, share in self.largest.items()}

    def share(self, split: Split) -> float:
        """Return the share of the largest class, which is the accuracy of always predicting it.

        A split with few images is a poor estimate, so the training split is used instead.
        """
        if self.images.get(split, _ASSUMED_IMAGES) < 2 * self.classes:
            split = Split.TRAIN
        return self.largest.get(split, min(1.0, _ASSUMED_IMBALANCE / max(1, self.classes)))

    def chance(self, split: Split, *, images: int = 0) -> float:
        """Return the highest accuracy that is no better than guessing. images: their number, by default the split's."""
        share, count = self.share(split), images or self.images.get(split, _ASSUMED_IMAGES)
        return share + min(_DEVIATIONS * math.sqrt(share * (1 - share) / count), _HALF * (1 - share))


def _positive(value: object) -> float:
    """Return a recorded value if it is a positive finite number, else 0."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
    return float(value) if is_number else 0.0  # type: ignore[arg-type]


def guessing_level(config: RunConfig, classes: int) -> float:
    """Return the loss of a network that gives all classes the same probability.

    Label smoothing does not change it. NLL of raw logits has no such level; 0 is the loss of zero logits.
    """
    even = 1.0 / classes
    if config.loss == "mse":
        given = -math.log(classes) if config.output == "log-softmax" else even
        return ((1 - given) ** 2 + (classes - 1) * given**2) / classes
    if config.loss == "nll" and config.output != "log-softmax":
        return -even if config.output == "softmax" else 0.0
    return math.log(classes)


def lowest_loss(config: RunConfig, classes: int) -> float:
    """Return the loss of perfect answers, which is not 0 with label smoothing or with softmax before cross-entropy.

    NLL of raw logits has none: minus infinity.
    """
    if config.loss == "nll":
        return {"log-softmax": 0.0, "softmax": -1.0}.get(config.output, -math.inf)
    if config.loss == "mse":
        return 0.0
    other = config.label_smoothing / classes
    own = 1 - (classes - 1) * other
    if config.output == "softmax":  # the largest difference of two probabilities is 1
        return math.log(math.e + classes - 1) - own
    return -sum(p * math.log(p) for p in (own, *[other] * (classes - 1)) if p > 0)


def options_of(config: RunConfig) -> Mapping[str, Option]:
    """Return all options of the run's network, none if only another release has it or one of its options."""
    try:
        return complete_options(get_architecture(config.arch), config.arch_options)
    except ConfigError:
        return {}


def objective_weight(config: RunConfig) -> float:
    """Return how many losses the training objective adds up: 1, and the shares of auxiliary classifiers."""
    options = options_of(config)
    return get_architecture(config.arch).objective_weight(options) if options else 1.0


def is_bounded(config: RunConfig) -> bool:
    """Whether the loss is bounded close to its guessing level, whatever the weights are."""
    return config.output == "softmax"


@dataclass(frozen=True)
class CurveView:
    """A run's settings, curves and data, with the values that several rules use.

    ended: whether the run has ended, so that no further steps will follow.
    """

    config: RunConfig
    curves: Mapping[str, Curve]
    data: DataFacts
    ended: bool

    @property
    def train_images(self) -> int:
        """Images per epoch, 0 if unknown."""
        return self.data.images.get(Split.TRAIN, 0)

    @cached_property
    def level(self) -> float:
        """The training loss of guessing, which includes that of auxiliary classifiers."""
        return guessing_level(self.config, self.data.classes) * objective_weight(self.config)

    @cached_property
    def lowest(self) -> float:
        """The training loss of perfect answers."""
        return lowest_loss(self.config, self.data.classes) * objective_weight(self.config)

    @cached_property
    def batch_loss(self) -> Values:
        """The loss of every recorded batch."""
        return _values(self.curves.get(BATCH_LOSS.id))

    @cached_property
    def steps(self) -> int:
        """Number of updates according to the curves."""
        last = [int(curve.step[-1]) for curve in self.curves.values() if len(curve.step)]
        return max(last, default=0)

    @cached_property
    def epoch_steps(self) -> np.ndarray:
        """The last step of every complete epoch.

        They are those of the training metric with the most epochs: a fork that changed its loss has no earlier losses.
        """
        training = [self._steps_of(metric) for metric in _TRAINING]
        longest = max(training, key=len)
        others = (self._steps_of(metric) for metric in EPOCH_METRICS)
        return longest if len(longest) else next((steps for steps in others if len(steps)), longest)

    def _steps_of(self, metric: MetricSpec) -> np.ndarray:
        curve = self.curves.get(metric.id)
        steps = np.empty(0, dtype=np.int64) if curve is None else np.asarray(curve.step)
        return steps[steps > 0]

    @property
    def epochs(self) -> int:
        """Number of complete epochs."""
        return len(self.epoch_steps)

    def at_epochs(self, metric: MetricSpec) -> Values:
        """Return one metric at the end of every complete epoch, NaN if it was not measured there."""
        curve = self.curves.get(metric.id)
        found = np.full(self.epochs, math.nan)
        if curve is None or not len(curve.step):
            return found
        steps, values = np.asarray(curve.step), _values(curve)
        at = np.minimum(np.searchsorted(steps, self.epoch_steps), len(steps) - 1)
        there = steps[at] == self.epoch_steps
        found[there] = values[at[there]]
        return found

    def last(self, metric: MetricSpec) -> float:
        """Return one metric at the end of the last complete epoch, NaN if there is none."""
        values = self.at_epochs(metric)
        return float(values[-1]) if values.size else math.nan

    @cached_property
    def start(self) -> float:
        """The loss before the first update: evaluated at step 0 or of the first batch, else the guessing level.

        The higher one counts: batch norm, dropout and auxiliary classifiers make the training loss of an untrained
        network higher than its validation loss, and a small batch may be below both by chance.
        """
        evaluated = next((v for m in (VAL_LOSS, TEST_LOSS) if math.isfinite(v := self.first(m, step=0))), math.nan)
        known = [value for value in (evaluated, self.first(BATCH_LOSS, step=1)) if math.isfinite(value)]
        return max(known, default=self.level)

    def first(self, metric: MetricSpec, *, step: int) -> float:
        """Return the first value of a metric if it is of this step, else NaN."""
        curve = self.curves.get(metric.id)
        return float(curve.value[0]) if curve is not None and len(curve.step) and curve.step[0] == step else math.nan

    @cached_property
    def now(self) -> float:
        """The training loss of the last complete epoch, or of the recent batches if there is none."""
        if self.epochs and math.isfinite(self.last(TRAIN_LOSS)):
            return self.last(TRAIN_LOSS)
        return mean_of(self.batch_loss[-RECENT_STEPS:])

    @cached_property
    def recent(self) -> float:
        """The training loss of the last batches, at most a quarter of an epoch; `now` if they are not recorded.

        The mean of an epoch may be high because of its first steps.
        """
        quarter = self.batch_loss.size // (4 * max(1, self.epochs))
        recent = self.batch_loss[-min(RECENT_STEPS, max(_FEWEST_RECENT, quarter)) :]
        return mean_of(recent) if np.isfinite(recent).any() else self.now

    def held_out(self) -> list[Split]:
        """Return the splits with an accuracy at the last complete epoch: validation and test, else training."""
        known = [split for split in SPLITS if math.isfinite(self.last(ACCURACIES[split]))]
        return [split for split in known if split is not Split.TRAIN] or known


def _values(curve: Curve | None) -> Values:
    return _EMPTY if curve is None else np.asarray(curve.value, dtype=np.float64)


def mean_of(values: Iterable[float]) -> float:
    """Return the mean of the finite values, NaN if there are none."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    return float(finite.mean()) if finite.size else math.nan


def moving_mean(values: Values, width: int) -> Values:
    """Return the mean of every full window of `width` neighbouring values: shape (n - width + 1,)."""
    if values.size < width:
        return _EMPTY
    means: Values = np.lib.stride_tricks.sliding_window_view(values, width).mean(axis=1)
    return means


def share(value: float) -> str:
    """Return a share of images as a percentage; a value above 1 (possible in imported runs) as a plain number."""
    return format_percent(value) if abs(value) <= 1 else format_loss(value)
