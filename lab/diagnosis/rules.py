"""Names mistakes in settings and curves, in words a beginner can act on.

Two questions, each a list of small rules: what can be said before training from the configuration alone, and what the
curves say while or after it. A rule returns a `Finding` or nothing; it never guesses where the numbers do not say so.
Curves are plain arrays in step order, so that this room needs neither the store nor torch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lab.config import RunConfig

Curve = npt.NDArray[np.float64]
RECENT_STEPS = 100  # batch losses averaged when a rule asks where the loss is now: one batch says too little
MIN_STEPS = 200  # before this many updates a flat loss is only a beginning
STUCK_MARGIN = 0.03  # nats around log K that count as "no better than guessing"
TURNED_UP = 0.10  # rise of the validation loss above its minimum, as a share, that counts as overfitting


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell: `severity` is "mistake", "warning" or "hint"; `remedy` holds settings that would mend it."""

    code: str
    severity: str
    message: str
    remedy: Mapping[str, Any] = field(default_factory=dict)


def diagnose_config(config: RunConfig) -> tuple[Finding, ...]:
    """Say what is wrong or odd about settings before anything is trained."""
    return tuple(finding for rule in _CONFIG_RULES if (finding := rule(config)) is not None)


def _loss_and_output(config: RunConfig) -> Finding | None:
    pair = (config.loss, config.output)
    if pair == ("nll", "logits"):
        return Finding(
            "nll-on-logits", "mistake",
            "NLL is given raw logits: the loss has no lower bound and will run away below zero. "
            "Give it log-softmax, or use cross-entropy on logits.",
            {"loss": "cross-entropy", "output": "logits"},
        )  # fmt: skip
    if pair == ("nll", "softmax"):
        return Finding(
            "nll-on-softmax", "mistake",
            "NLL is given probabilities instead of their logarithms: the loss stays between -1 and 0 and its gradient "
            "fades when an answer is wrong. Give it log-softmax.",
            {"output": "log-softmax"},
        )  # fmt: skip
    if pair == ("cross-entropy", "softmax"):
        return Finding(
            "softmax-twice", "mistake",
            "Cross-entropy applies softmax itself, so softmax is applied twice: the loss cannot fall below "
            "about 1.46 with ten classes. Give it logits.",
            {"output": "logits"},
        )  # fmt: skip
    if config.loss == "mse" and config.output != "softmax":
        return Finding(
            "mse-without-softmax", "hint",
            f"MSE compares {config.output} with one-hot targets; probabilities (softmax) are the matching output.",
            {"output": "softmax"},
        )  # fmt: skip
    return None


def _unshuffled(config: RunConfig) -> Finding | None:
    if config.shuffle:
        return None
    return Finding(
        "unshuffled", "warning",
        "The images come in the same order every epoch, so neighbouring steps repeat; shuffling usually learns better.",
        {"shuffle": True},
    )  # fmt: skip


def _learning_rate(config: RunConfig) -> Finding | None:
    adaptive = config.optimizer in ("adam", "adamw", "rmsprop")
    low, high = (3e-5, 3e-2) if adaptive else (1e-4, 1.0)
    if config.lr < low:
        return Finding(
            "lr-low", "warning",
            f"A learning rate of {config.lr:g} is very small for {config.optimizer}: expect it to learn slowly. "
            f"Try {1e-3 if adaptive else 1e-2:g}.",
            {"lr": 1e-3 if adaptive else 1e-2},
        )  # fmt: skip
    if config.lr > high:
        return Finding(
            "lr-high", "warning",
            f"A learning rate of {config.lr:g} is very large for {config.optimizer}: the loss may jump or become NaN. "
            f"Try {1e-3 if adaptive else 1e-1:g}.",
            {"lr": 1e-3 if adaptive else 1e-1},
        )  # fmt: skip
    return None


def _unnormalised(config: RunConfig) -> Finding | None:
    if config.normalization != "none":
        return None
    return Finding(
        "unnormalised", "hint",
        "Pixels stay in [0, 1]; subtracting the data set's mean and dividing by its deviation usually learns faster.",
        {"normalization": "dataset"},
    )  # fmt: skip


_CONFIG_RULES: tuple[Callable[[RunConfig], Finding | None], ...] = (
    _loss_and_output,
    _learning_rate,
    _unshuffled,
    _unnormalised,
)


def diagnose_curves(config: RunConfig, curves: Mapping[str, Curve], *, classes: int) -> tuple[Finding, ...]:
    """Say what the curves show: `curves` maps series names (`batch/loss`, `val/loss`, …) to values in step order."""
    found = (rule(config, curves, classes) for rule in _CURVE_RULES)
    return tuple(finding for finding in found if finding is not None)


def _curve(curves: Mapping[str, Curve], name: str) -> Curve:
    return curves.get(name, np.empty(0))


def _not_finite(config: RunConfig, curves: Mapping[str, Curve], _classes: int) -> Finding | None:
    loss = _curve(curves, "batch/loss")
    bad = np.flatnonzero(~np.isfinite(loss))
    if bad.size == 0:
        return None
    return Finding(
        "not-finite", "mistake",
        f"The loss is {loss[bad[0]]} from recorded step {bad[0] + 1} on: the weights are lost. "
        f"Lower the learning rate ({config.lr:g}), clip the gradient, or check loss and output.",
        {"lr": config.lr / 10, "grad_clip": 1.0},
    )  # fmt: skip


def _recent(loss: Curve) -> float:
    return float(np.mean(loss[-RECENT_STEPS:]))


def _runaway(config: RunConfig, curves: Mapping[str, Curve], _classes: int) -> Finding | None:
    loss = _curve(curves, "batch/loss")
    if loss.size == 0 or not np.isfinite(loss[-1]) or config.loss != "nll" or config.output != "logits":
        return None
    now = _recent(loss)
    if not now < -1.0:  # also when NaN
        return None
    return Finding(
        "runaway", "mistake",
        f"The loss is {now:,.2f} and falling without limit: NLL on raw logits rewards ever larger logits, "
        "not better answers. Output log-softmax, or use cross-entropy.",
        {"loss": "cross-entropy", "output": "logits"},
    )  # fmt: skip


def _stuck(config: RunConfig, curves: Mapping[str, Curve], classes: int) -> Finding | None:
    loss = _curve(curves, "batch/loss")
    if loss.size < MIN_STEPS or (config.loss != "cross-entropy" and config.output != "log-softmax"):
        return None
    guessing = math.log(classes)
    now = _recent(loss)
    if not abs(now - guessing) < STUCK_MARGIN:
        return None
    return Finding(
        "stuck", "warning",
        f"After {loss.size:,} steps the loss is {now:.2f}, what guessing among {classes} classes gives "
        f"(log {classes} = {guessing:.2f}): nothing is learned. Lower the learning rate ({config.lr:g}) or the "
        "weight decay, or add batch norm.",
        {"lr": config.lr / 10},
    )  # fmt: skip


def _overfitting(_config: RunConfig, curves: Mapping[str, Curve], classes: int) -> Finding | None:
    validation, training = _curve(curves, "val/loss"), _curve(curves, "train/loss")
    if validation.size < 4 or training.size < 3 or not np.isfinite(validation).all():
        return None
    best = int(np.argmin(validation))
    lowest, last = float(validation[best]), float(validation[-1])
    # By heart means: better on the training images than on the others. A diverged loss that comes back is not that.
    falling = training[-1] < min(training[len(training) // 2], last, math.log(classes))
    if best >= validation.size - 2 or last - lowest < TURNED_UP * abs(lowest) or not falling:
        return None
    return Finding(
        "overfitting", "warning",
        f"The validation loss rose from {lowest:.4f} to {last:.4f} while the training loss kept falling: the network "
        "learns the training images by heart. Stop early, add augmentation, dropout or weight decay.",
        {"patience": 3, "restore_best": True},
    )  # fmt: skip


_CURVE_RULES: tuple[Callable[[RunConfig, Mapping[str, Curve], int], Finding | None], ...] = (
    _not_finite,
    _runaway,
    _stuck,
    _overfitting,
)
