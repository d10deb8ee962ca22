"""Why a run did not learn, and a single change of its settings as the remedy.

A learning rate is called too high or too low, never both. If the settings are far out of range, they decide; otherwise
the curves do: a loss that jumped above its start had steps that were too large, one that hardly moved too small.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lab.config import RunConfig
from lab.config.steps import epoch_steps
from lab.diagnosis.curves import CurveView, moving_mean, options_of
from lab.formatting import format_loss, plural
from lab.metrics import GRADIENT_NORM, TRAIN_LOSS

MIN_STEPS = 200  # updates below which a flat loss is no evidence
USUAL_STEPS = 1_000  # roughly the updates of a beginner's run that learns MNIST
_JUMP = 0.05  # rise above the start, as a share of the guessing level, that batch noise does not explain
_AT_LEVEL = 0.03  # largest distance from the guessing level, as a share of it, that counts as guessing
_JUMP_WINDOW = 10  # batches
_DECAYED = 3.0  # e-foldings of decay over a run after which the weights have vanished
_HELD_BACK = 1.0  # the same, after which they cannot grow to what the loss needs
_HIGH_MOMENTUM = 0.95
_USUAL_MOMENTUM = 0.9
_RANGE_MOMENTUM = {"sgd": _USUAL_MOMENTUM, "rmsprop": 0.0}  # with which an optimizer's range of learning rates holds
_CUT = 10.0  # times the clipping limit: longer gradients leave steps that are too small
_USUAL_CLIP = 1.0
_USUAL_BATCH = 64
_FEWER = 4  # times fewer steps than with usual batches
_STRONG_COUPLED = 0.05  # coupled weight decay that outweighs the gradients if the optimizer rescales them

# Codes of findings on settings that are also causes of what the curves show.
LR_LOW, LR_HIGH = "lr-low", "lr-high"
NLL_ON_LOGITS, NLL_ON_SOFTMAX = "nll-on-logits", "nll-on-softmax"
CROSS_ENTROPY = {"loss": "cross-entropy", "output": "logits"}  # the same loss as NLL of log-softmax


@dataclass(frozen=True, slots=True)
class RateRange:
    """Learning rates of an optimizer: hardly any network learns below `low` or above `high`; `usual` mostly works."""

    low: float
    usual: float
    high: float


_ADAPTIVE = RateRange(3e-5, 1e-3, 3e-2)
_RANGES = {"adam": _ADAPTIVE, "adamw": _ADAPTIVE, "rmsprop": _ADAPTIVE, "muon": RateRange(1e-4, 2e-2, 1.0)}
_SGD = RateRange(1e-4, 1e-2, 1.0)
_SGD_MSE = RateRange(1e-3, 1e-1, 1.0)  # about ten times smaller gradients, because MSE also averages over the classes


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause. text: ends with the remedy. remedy: its settings. code: of the finding on settings that is this cause."""

    text: str
    remedy: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""


def rate_range(config: RunConfig) -> RateRange:
    """Return the range of learning rates for a run's optimizer and loss.

    With momentum, a step is 1 / (1 - momentum) times as long in the end, so the range of SGD and RMSprop depends on it.
    """
    rates = _RANGES.get(config.optimizer, _SGD_MSE if config.loss == "mse" else _SGD)
    if config.optimizer not in _RANGE_MOMENTUM:
        return rates
    scale = (1 - config.momentum) / (1 - _RANGE_MOMENTUM[config.optimizer])
    return RateRange(
        _rounded(rates.low * scale),
        _rounded(rates.usual * scale),
        _rounded(rates.high * min(1.0, scale)),  # without momentum, too, few networks learn above 1
    )


def _rounded(rate: float) -> float:
    """Return a rate as it is shown, without the last bits of a product."""
    return float(f"{rate:.6g}")


def lower_rate(config: RunConfig) -> float:
    """Return the learning rate to try if that of the run is too high."""
    return min(_rounded(config.lr / 10), rate_range(config).usual)


def higher_rate(config: RunConfig) -> float:
    """Return the learning rate to try if that of the run is too low."""
    rates = rate_range(config)
    return rates.usual if is_below_usual(config) else min(_rounded(config.lr * 3), max(rates.high, config.lr))


def is_below_usual(config: RunConfig) -> bool:
    """Whether the learning rate is well below the usual one."""
    return config.lr <= rate_range(config).usual / 2


def rate_too_high(config: RunConfig, because: str) -> Cause:
    """Return the cause that the learning rate is too high, or the momentum. because: a clause on the evidence."""
    if config.optimizer == "sgd" and config.momentum > _HIGH_MOMENTUM:
        usual = config.replace(momentum=_USUAL_MOMENTUM)
        if config.lr <= rate_range(usual).high / 10:  # not too high with a usual momentum
            return Cause(
                f"{because}: a momentum of {config.momentum:g} makes steps {1 / (1 - config.momentum):,.0f} times as long. "
                f"Try {_USUAL_MOMENTUM:g}.",
                {"momentum": _USUAL_MOMENTUM},
            )
    new = lower_rate(config)
    return Cause(f"{because}: the learning rate ({config.lr:g}) is too high. Try {new:g}.", {"lr": new}, LR_HIGH)


def rate_too_low(config: RunConfig, because: str) -> Cause:
    """Return the cause that the learning rate is too low. because: a clause on the evidence."""
    new = higher_rate(config)
    return Cause(f"{because}: the learning rate ({config.lr:g}) is too low. Try {new:g}.", {"lr": new}, LR_LOW)


def run_epochs(config: RunConfig, train_images: int = 0) -> float:
    """Return the epochs of a run by its settings. train_images: images per epoch; if 0, a step limit is ignored."""
    if not config.max_steps or not train_images:
        return config.epochs
    return min(config.epochs, config.max_steps / epoch_steps(train_images, config.batch_size))


def warms_up_to_the_end(config: RunConfig, train_images: int = 0) -> bool:
    """Whether the warm-up lasts until the end of the run or longer; False for one-cycle, which has its own rise."""
    return config.schedule != "one-cycle" and config.warmup_epochs >= run_epochs(config, train_images)


def shorter_warm_up(config: RunConfig, train_images: int = 0) -> float:
    """Return the warm-up to try: a tenth of the run, in epochs."""
    return float(f"{run_epochs(config, train_images) / 10:.2g}")


def _warm_up(view: CurveView) -> Cause:
    config, new = view.config, shorter_warm_up(view.config, view.train_images)
    return Cause(
        f"{_moved(view)}: the learning rate was still warming up, over {config.warmup_epochs:g} epochs. Try {new:g}.",
        {"warmup_epochs": new},
        "warmup-long",
    )


def cause_of_divergence(view: CurveView) -> Cause:
    """Return why the loss of a run diverged or became non-finite."""
    config = view.config
    mistaken = config.output == "logits" or (config.output == "softmax" and config.lr <= rate_range(config).high)
    if config.loss == "nll" and mistaken:
        return _wrong_pair(view)
    if decays_everything(view):
        return _decay(config)
    if config.precision == "float16" and config.lr <= rate_range(config).usual:
        return Cause("float16 overflows above 65,504. Use bfloat16.", {"precision": "bfloat16"})
    return rate_too_high(config, "The steps were too large")


def cause_of_no_learning(view: CurveView) -> Cause:
    """Return why a run is no better than guessing."""
    config, rates = view.config, rate_range(view.config)
    jump = highest_jump(view)
    if config.lr < rates.low and jump is None:
        return rate_too_low(config, _moved(view))
    if config.lr > rates.high:
        return rate_too_high(config, _jumped(view, jump) if jump is not None else "The first steps saturated it")
    if config.loss == "nll" and (
        config.output == "logits" or (config.output == "softmax" and config.lr >= rates.usual)
    ):
        return _wrong_pair(view)
    if decays_everything(view):
        return _decay(config)
    if jump is not None:
        return rate_too_high(config, _jumped(view, jump))
    if view.steps < MIN_STEPS:
        return too_short(view, f"{view.steps:,} steps are too few to judge")
    if warms_up_to_the_end(config, view.train_images):
        return _warm_up(view)
    clipped = clipped_too_short(view, _moved(view))
    if clipped:
        return clipped
    if falls(view) or is_below_usual(config):
        return rate_too_low(config, _moved(view))
    return _vanishing(view)


def clipped_too_short(view: CurveView, because: str) -> Cause | None:
    """Return the cause that SGD's gradients are clipped to a small part of their norm; other optimizers rescale them.

    because: a clause on the evidence.
    """
    limit, norm = view.config.grad_clip, view.last(GRADIENT_NORM)
    if view.config.optimizer != "sgd" or not (0 < limit < _USUAL_CLIP and _CUT * limit < norm < math.inf):
        return None
    return Cause(
        f"{because}: gradients of norm {norm:.3g} are clipped to {limit:g}. Try {_USUAL_CLIP:g}.",
        {"grad_clip": _USUAL_CLIP},
    )


def _wrong_pair(view: CurveView) -> Cause:
    if view.config.output == "logits":
        lost = not np.isfinite([view.now, *view.batch_loss[-1:]]).all()
        now = "" if lost else f" (now {format_loss(view.now)})"
        return Cause(
            f"NLL of raw logits has no lower bound{now}: use cross-entropy, or output log-softmax.",
            CROSS_ENTROPY,
            NLL_ON_LOGITS,
        )
    return Cause(
        "NLL is given probabilities, whose gradient fades when an answer is wrong: output log-softmax.",
        {"output": "log-softmax"},
        NLL_ON_SOFTMAX,
    )


def decays_everything(view: CurveView, *, folds: float = _DECAYED) -> bool:
    """Whether weight decay pulls the weights to zero faster than gradients of usual size can counteract.

    folds: the least e-foldings of decay over the run.
    """
    config = view.config
    if config.weight_decay < _STRONG_COUPLED:
        return False
    if config.optimizer in ("adam", "rmsprop"):
        return True
    reach = config.lr / (1 - config.momentum) if config.optimizer == "sgd" else config.lr
    return reach * config.weight_decay * view.steps > folds


def held_back(view: CurveView) -> Cause | None:
    """Return the cause that weight decay keeps the weights too small."""
    return _decay(view.config) if decays_everything(view, folds=_HELD_BACK) else None


def _decay(config: RunConfig) -> Cause:
    return Cause(
        f"A weight decay of {config.weight_decay:g} pulls all weights to zero. Try 0.0001.", {"weight_decay": 1e-4}
    )


def highest_jump(view: CurveView) -> float | None:
    """Return the highest training loss if it rose above its start by more than noise (inf if non-finite), else None."""
    if view.batch_loss.size >= _JUMP_WINDOW:
        smooth, peak = moving_mean(view.batch_loss, _JUMP_WINDOW), view.batch_loss
    else:
        smooth = peak = view.at_epochs(TRAIN_LOSS)
    if not smooth.size:
        return None
    if not np.isfinite(smooth).all():
        return math.inf
    margin = _JUMP * (abs(view.level) or 1.0)
    return float(peak.max()) if smooth.max() > view.start + margin else None


def _jumped(view: CurveView, jump: float) -> str:
    return f"The loss jumped from {format_loss(view.start)} to {format_loss(jump)}"


def falls(view: CurveView) -> bool:
    """Whether the training loss fell by more than three standard errors from its first tenth to its last."""
    tenth = max(1, view.batch_loss.size // 10)
    first, last = view.batch_loss[:tenth], view.batch_loss[-tenth:]
    if first.size < _JUMP_WINDOW:
        return False
    error = math.sqrt((float(np.var(first)) + float(np.var(last))) / tenth)
    return float(first.mean() - last.mean()) > 3 * error


def _moved(view: CurveView) -> str:
    near = abs(view.now - view.level) <= _AT_LEVEL * abs(view.level)
    if near:
        return (
            f"After {view.steps:,} steps the loss is {format_loss(view.now)}, still what guessing gives "
            f"({format_loss(view.level)})"
        )
    return (
        f"The loss hardly moved: {format_loss(view.start)} at first, {format_loss(view.now)} after {view.steps:,} steps"
    )


def too_short(view: CurveView, because: str) -> Cause:
    """Return the cause that the run took too few steps. because: a clause on the evidence."""
    config = view.config
    if 0 < config.max_steps <= view.steps:
        return Cause(f"{because}. Remove the limit of {config.max_steps:,}.", {"max_steps": 0})
    per_epoch = max(1, math.ceil(view.steps / max(1, view.epochs)))
    remedy: dict[str, Any] = {}
    if stopped_early(view):
        remedy["patience"] = 0
    smaller = per_epoch * config.batch_size // _USUAL_BATCH
    if smaller >= _FEWER * per_epoch:  # more steps of about the same total cost
        remedy["batch_size"], per_epoch = _USUAL_BATCH, smaller
    needed = math.ceil(USUAL_STEPS / per_epoch)
    if not remedy:
        needed = max(needed, config.epochs + 1)
    if needed > config.epochs:
        remedy["epochs"] = min(10_000, needed)
    return Cause(f"{because}. {_train(remedy)}.", remedy)


def stopped_early(view: CurveView) -> bool:
    """Whether early stopping ended the run."""
    return view.ended and view.config.patience > 0 and view.epochs < view.config.epochs


def _train(remedy: Mapping[str, Any]) -> str:
    """Return how to train longer, such as "Train for 50 epochs in batches of 64, without early stopping"."""
    parts = [f"for {plural(remedy['epochs'], 'epoch')}"] if "epochs" in remedy else []
    parts += [f"in batches of {remedy['batch_size']}"] if "batch_size" in remedy else []
    text = f"Train {' '.join(parts)}" if parts else "Train"
    return text + (f"{',' if parts else ''} without early stopping" if "patience" in remedy else "")


def _vanishing(view: CurveView) -> Cause:
    config = view.config
    if option_of(config, "batch_norm") is False:
        options = {**config.arch_options, "batch_norm": True}
        return Cause(f"{_moved(view)}: gradients vanish on the way. Use batch norm.", {"arch_options": options})
    new = lower_rate(config)
    return Cause(f"{_moved(view)} at a usual learning rate ({config.lr:g}). Try {new:g}.", {"lr": new})


def option_of(config: RunConfig, name: str) -> object:
    """Return an option of the run's network as it was built, None if the network has no such option."""
    return options_of(config).get(name)
