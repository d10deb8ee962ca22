"""Findings on runs that learned: unfinished, overfitting, unstable, or with unequal training and validation accuracy."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.config import RunConfig
from lab.diagnosis.causes import (
    MIN_STEPS,
    clipped_too_short,
    held_back,
    is_below_usual,
    option_of,
    rate_too_high,
    rate_too_low,
    too_short,
    warms_up_to_the_end,
)
from lab.diagnosis.curves import ACCURACIES, CurveView, Values, moving_mean, share
from lab.findings import Finding
from lab.formatting import format_loss, plural
from lab.metrics import TRAIN_ACCURACY, TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS, Split

_RISE = 0.20  # share of the smoothed minimum: a smaller rise of the validation loss is not reported
_NOISE = 4.0  # standard errors; many, because the minimum is the lowest of many values and every epoch tests again
_GAP = 0.05  # accuracy of training above that of validation
_GAP_ERRORS = 4.0
_LASTING = 0.5  # share of the rise that each of the last epochs must exceed
_HALF_WAY = 0.5  # of the way from the loss of guessing to that of perfect answers
_FALLING = 3  # epochs
_SETBACK = 0.10  # accuracy lost since the best epoch, more than noise explains
_SETBACK_LOSS = 0.10  # rise of the training loss in the meantime, as a share of the guessing level
_BELOW = 0.005  # accuracy by which training may be below validation without a finding
_BELOW_ERRORS = 2.0


def find_overfitting(view: CurveView) -> Finding | None:
    """Return the finding that the smoothed validation loss rose and stayed up while the training loss kept falling."""
    validation, training = view.at_epochs(VAL_LOSS), view.at_epochs(TRAIN_LOSS)
    width = _width(validation.size)
    if validation.size < 2 * width or not (np.isfinite(validation).all() and np.isfinite(training).all()):
        return None
    smooth, smooth_training = moving_mean(validation, width), moving_mean(training, width)
    lowest = int(np.argmin(smooth))  # its window: epochs lowest + 1 to lowest + width
    if lowest + width > validation.size - width:  # it overlaps the last window, so the rise has not lasted yet
        return None
    low, end = float(smooth[lowest]), float(smooth[-1])
    tail = validation[-width:]
    falling = smooth_training[-1] < min(smooth_training[lowest], end, view.level if view.level > 0 else math.inf)
    enough = max(_RISE * abs(low), _NOISE * _error(validation, lowest, width))
    if not falling or end - low < enough or float(tail.min()) - low < _LASTING * (end - low):
        return None
    first = validation.size - width + 1
    advice, remedy = _against_overfitting(view.config)
    return Finding(
        "overfitting",
        "warning",
        f"Overfitting: the validation loss was {format_loss(low)} around epoch {lowest + 1 + width // 2} and is "
        f"{format_loss(end)} in epochs {first} to {validation.size} (means of {width})"
        f"{_accuracy(view, lowest, width)}, while the training loss fell to "
        f"{format_loss(float(smooth_training[-1]))}. {advice}",
        remedy,
    )


def _against_overfitting(config: RunConfig) -> tuple[str, Mapping[str, Any]]:
    """Return the measures against overfitting that the run has not used yet, as a sentence and as settings."""
    more = _regularisation(config)
    add = f"add {' or '.join(more)}" if more else "train a smaller network"
    if not config.patience and config.val_fraction > 0:
        return f"Stop early, or {add}.", {"patience": 5, "restore_best": True}
    if not config.restore_best and config.val_fraction > 0:
        return f"Restore the best epoch's weights, or {add}.", {"restore_best": True}
    return f"{add[0].upper()}{add[1:]}.", {}


def find_gap(view: CurveView) -> Finding | None:
    """Return a hint that the training accuracy stays far above that of validation: the generalisation gap."""
    training, validation = view.at_epochs(TRAIN_ACCURACY), view.at_epochs(VAL_ACCURACY)
    width = _width(validation.size)
    if validation.size < 2 * width or training.size != validation.size:
        return None
    fitted, held_out = (float(values[-width:].mean()) for values in (training, validation))
    images = view.data.images.get(Split.VAL, 0) or 1
    error = math.sqrt(max(0.0, held_out * (1 - held_out)) / images)
    if not fitted - held_out > max(_GAP, _GAP_ERRORS * error):  # "not above", so that NaN has none
        return None
    advice, remedy = _against_gap(view)
    return Finding(
        "generalisation-gap",
        "hint",
        f"Generalisation gap: in epochs {validation.size - width + 1} to {validation.size}, {share(fitted)} of the "
        f"training images and {share(held_out)} of the validation images were right (means of {width}). The network "
        f"fits the images that it was trained on better than new ones. {advice}",
        remedy,
    )


def _against_gap(view: CurveView) -> tuple[str, Mapping[str, Any]]:
    """Return the measures against a gap that the run has not used yet, as a sentence and as settings."""
    config, more = view.config, _regularisation(view.config)
    used = view.data.images.get(Split.TRAIN, 0) + view.data.images.get(Split.VAL, 0)
    if config.train_limit and used in (0, config.train_limit):  # unknown, or the data set has more
        also = f", or add {' or '.join(more)}" if more else ""
        return f"Train with all images instead of {config.train_limit:,}{also}.", {"train_limit": 0}
    if more:
        return f"Add {' or '.join(more)}.", {"augment": "light"} if config.augment == "none" else {}
    return "Train a smaller network.", {}


def _regularisation(config: RunConfig) -> list[str]:
    """Return what a run has not used against overfitting."""
    dropout = option_of(config, "dropout")
    more = ["augmentation"] if config.augment == "none" else []
    return more + (["dropout"] if isinstance(dropout, float) and dropout == 0 else [])


def _accuracy(view: CurveView, lowest: int, width: int) -> str:
    """Return a clause on the accuracy in these epochs, which need not fall: a loss also grows by confident errors."""
    accuracy = view.at_epochs(VAL_ACCURACY)
    if not np.isfinite(accuracy).all():
        return ""
    smooth = moving_mean(accuracy, width)
    return f", the accuracy {share(float(smooth[lowest]))} and {share(float(smooth[-1]))}"


def _error(values: Values, lowest: int, width: int) -> float:
    """Return the standard error of the difference of two means of `width` epochs.

    It is the larger of two estimates: from the scatter in the two windows, and from that of all epochs.
    """
    windows = np.var(values[-width:], ddof=1) + np.var(values[lowest : lowest + width], ddof=1)
    around_trend = 1.4826 * np.median(np.abs(np.diff(values, 2))) / math.sqrt(6)  # robust, from second differences
    return max(math.sqrt(float(windows) / width), float(around_trend) * math.sqrt(2 / width))


def _width(epochs: int) -> int:
    """Return the number of epochs to average, which grows with the number of epochs."""
    return 3 if epochs < 15 else 5 if epochs < 50 else 7


def find_setback(view: CurveView) -> Finding | None:
    """Return the finding that the run ended far below its best accuracy, or below that of the weights it started with."""
    loss = view.at_epochs(TRAIN_LOSS)
    splits = view.held_out()
    if not splits or not np.isfinite(loss).all():
        return None
    metric = ACCURACIES[splits[0]]
    before = view.first(metric, step=0)
    accuracy = np.concatenate([[before], view.at_epochs(metric)])
    best = int(np.nanargmax(accuracy))
    low = min(float(loss.min()), view.start if best == 0 else math.inf)
    if accuracy[best] - accuracy[-1] <= _SETBACK or loss[-1] - low <= _SETBACK_LOSS * abs(view.level):
        return None
    cause = rate_too_high(view.config, "Steps this large undo what was learned")
    when = f"after epoch {best}" if best else "before training"
    return Finding(
        "unstable",
        "warning",
        f"Unstable: {share(float(accuracy[best]))} of the {splits[0].label} images were right {when} "
        f"and {share(float(accuracy[-1]))} are after epoch {view.epochs}, while the training loss rose from "
        f"{format_loss(low)} to {format_loss(float(loss[-1]))}. {cause.text}",
        cause.remedy,
    )


def find_slow(view: CurveView) -> Finding | None:
    """Return the finding that a run is unfinished, its loss still closer to guessing than to perfect answers, and why."""
    loss = view.at_epochs(TRAIN_LOSS)
    far = view.lowest + _HALF_WAY * (view.level - view.lowest)
    if not loss.size or not np.isfinite(loss).all() or not loss[-1] > far:
        return None
    if warms_up_to_the_end(view.config, view.train_images):
        return None  # the warm-up is the cause, which another rule reports
    if view.steps < MIN_STEPS:
        return _few_steps(view, float(loss[-1])) if view.ended else None
    decay = held_back(view) if view.ended else None
    if decay:
        level = f"The training loss is {format_loss(float(loss[-1]))}, and guessing gives {format_loss(view.level)}"
        return Finding("decay-high", "warning", f"{level}. {decay.text}", decay.remedy)
    warm = 0 if view.ended else math.ceil(view.config.warmup_epochs)  # then the rate is still to come
    if loss.size < warm + _FALLING or not (np.diff(loss[-_FALLING:]) < 0).all():
        return None
    because = (
        f"After epoch {view.epochs} the training loss is {format_loss(float(loss[-1]))}, from "
        f"{format_loss(view.start)} at the start, and still falls"
    )
    clipped = clipped_too_short(view, because)
    if clipped:
        return Finding("clipped", "warning", clipped.text, clipped.remedy)
    if not is_below_usual(view.config):
        return None
    cause = rate_too_low(view.config, because)
    return Finding(cause.code, "warning", cause.text, cause.remedy)


def _few_steps(view: CurveView, loss: float) -> Finding:
    cause = too_short(
        view,
        f"The training loss is {format_loss(loss)}, and guessing gives {format_loss(view.level)}: "
        f"{plural(view.steps, 'step')} {'is' if view.steps == 1 else 'are'} few",
    )
    return Finding("few-steps", "hint", cause.text, cause.remedy)


def explain_training_below_validation(view: CurveView) -> Finding | None:
    """Return a hint on why the training accuracy is below that of validation, which looks wrong but is expected."""
    training, validation = view.last(TRAIN_ACCURACY), view.last(VAL_ACCURACY)
    if not (math.isfinite(training) and math.isfinite(validation)) or view.now > view.level > 0:
        return None
    images = view.data.images.get(Split.VAL, 0) or 1
    margin = max(_BELOW, _BELOW_ERRORS * math.sqrt(max(0.0, validation * (1 - validation)) / images))
    if validation - training <= margin:
        return None
    return Finding(
        "training-below-validation",
        "hint",
        f"In epoch {view.epochs} the training accuracy ({share(training)}) is below the validation accuracy "
        f"({share(validation)}). That is expected: it is a mean over the epoch, while the weights were still improving"
        f"{_only_in_training(view)}.",
    )


def _only_in_training(view: CurveView) -> str:
    dropout = option_of(view.config, "dropout")
    parts = ["dropout"] if isinstance(dropout, float) and dropout > 0 else []
    if view.config.augment != "none":
        parts.append("augmentation")
    return f", and {' and '.join(parts)} made training images harder" if parts else ""
