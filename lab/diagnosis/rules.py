"""Rules that find mistakes in settings and curves, with messages that say what to change.

`diagnose_config` judges a configuration before training, `diagnose_run` the curves during and after it. A rule returns
a `Finding` or None; it returns None if the numbers are inconclusive. Curves are plain arrays in step order, so this
package needs neither the store nor torch.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from lab.config import FIELDS, RunConfig
from lab.diagnosis.causes import (
    CROSS_ENTROPY,
    LR_HIGH,
    LR_LOW,
    NLL_ON_LOGITS,
    NLL_ON_SOFTMAX,
    higher_rate,
    lower_rate,
    rate_range,
    run_epochs,
    shorter_warm_up,
    warms_up_to_the_end,
)
from lab.diagnosis.curves import Curve, CurveView, DataFacts
from lab.diagnosis.learning import (
    explain_training_below_validation,
    find_gap,
    find_overfitting,
    find_setback,
    find_slow,
)
from lab.diagnosis.outcomes import find_failure, runs_away
from lab.findings import Finding
from lab.formatting import format_loss, format_percent, plural

_NEGLIGIBLE = 0.01  # share of the learning rate


def diagnose_config(config: RunConfig, *, train_images: int = 0) -> tuple[Finding, ...]:
    """Return the findings on settings that are wrong or unusual, before anything is trained.

    train_images: images per epoch; if it is 0, the length of a run with a step limit is unknown.
    """
    found = [rule(config) for rule in _CONFIG_RULES]
    found += [rule(config, train_images) for rule in (_warm_up, _never_steps)]
    return tuple(finding for finding in found if finding is not None)


def _loss_and_output(config: RunConfig) -> Finding | None:
    pair = (config.loss, config.output)
    if pair == ("nll", "logits"):
        return Finding(
            NLL_ON_LOGITS,
            "mistake",
            "NLL is given raw logits: the loss has no lower bound and will run away below zero. "
            "Use a log-softmax output, or use cross-entropy on logits.",
            CROSS_ENTROPY,
        )
    if pair == ("nll", "softmax"):
        return Finding(
            NLL_ON_SOFTMAX,
            "mistake",
            "NLL is given probabilities instead of their logarithms: the loss stays between -1 and 0 and its gradient "
            "fades when an answer is wrong. Use a log-softmax output.",
            {"output": "log-softmax"},
        )
    if pair == ("cross-entropy", "softmax"):
        return Finding(
            "softmax-twice",
            "mistake",
            "Cross-entropy applies softmax itself, so softmax is applied twice: the loss cannot fall below "
            "about 1.46 with ten classes. Use logits as the output.",
            {"output": "logits"},
        )
    if config.loss == "mse" and config.output != "softmax":
        return Finding(
            "mse-without-softmax",
            "hint",
            f"MSE compares {config.output} with one-hot targets; probabilities (softmax) are the matching output.",
            {"output": "softmax"},
        )
    return None


def _unshuffled(config: RunConfig) -> Finding | None:
    if config.shuffle:
        return None
    return Finding(
        "unshuffled",
        "warning",
        "The images come in the same order every epoch, so neighbouring steps repeat; shuffling usually learns better.",
        {"shuffle": True},
    )


def _optimizer(config: RunConfig) -> str:
    return FIELDS["optimizer"].choice_title(config.optimizer)


def _learning_rate(config: RunConfig) -> Finding | None:
    rates = rate_range(config)
    if config.lr < rates.low and not (
        config.init_from or config.fork_of
    ):  # a trained network is tuned with small steps
        new = higher_rate(config)
        return Finding(
            LR_LOW,
            "warning",
            f"A learning rate of {config.lr:g} is very small for {_optimizer(config)}: expect it to learn slowly. "
            f"Try {new:g}.",
            {"lr": new},
        )
    if config.lr > rates.high:
        new = lower_rate(config)
        return Finding(
            LR_HIGH,
            "warning",
            f"A learning rate of {config.lr:g} is very large for {_optimizer(config)}: the loss may jump or become "
            f"NaN. Try {new:g}.",
            {"lr": new},
        )
    return None


def _unnormalised(config: RunConfig) -> Finding | None:
    if config.normalization != "none":
        return None
    return Finding(
        "unnormalised",
        "hint",
        "Pixels stay in [0, 1]; subtracting the data set's mean and dividing by its standard deviation usually speeds "
        "up learning.",
        {"normalization": "dataset"},
    )


def _warm_up(config: RunConfig, train_images: int) -> Finding | None:
    if not warms_up_to_the_end(config, train_images):
        return None
    epochs, new = run_epochs(config, train_images), shorter_warm_up(config, train_images)
    reached = "is reached by the last step only" if config.warmup_epochs == epochs else "is never reached"
    return Finding(
        "warmup-long",
        "warning",
        f"The warm-up takes {config.warmup_epochs:g} epochs and the run has {epochs:.3g}: its learning rate of "
        f"{config.lr:g} {reached}. Try {new:g}.",
        {"warmup_epochs": new},
    )


def _never_steps(config: RunConfig, train_images: int) -> Finding | None:
    """Return a hint if a run ends before its step schedule changes the rate, which is then constant: no harm done."""
    epochs = run_epochs(config, train_images)
    if config.schedule != "step" or config.step_epochs < epochs or epochs < 2:
        return None
    new = max(1, int(epochs) // 3)
    return Finding(
        "step-late",
        "hint",
        f"The learning rate is multiplied every {_epochs(config.step_epochs)}, and the run has {epochs:.3g}: "
        f"it stays as it is. Try every {_epochs(new)}.",
        {"step_epochs": new},
    )


def _epochs(count: int) -> str:
    """Return what follows "every": "epoch" or "3 epochs"."""
    return "epoch" if count == 1 else plural(count, "epoch")


def _steps_early(config: RunConfig) -> Finding | None:
    """Return the finding that a step schedule ends the learning early: in less than a third of the run."""
    epochs, new = config.epochs, config.epochs // 3
    if config.schedule != "step" or config.gamma >= 1:
        return None
    steps = math.ceil(math.log(_NEGLIGIBLE) / math.log(config.gamma))
    if steps * config.step_epochs >= new:
        return None
    return Finding(
        "step-early",
        "warning",
        f"The learning rate is multiplied by {config.gamma:g} every {_epochs(config.step_epochs)}: after epoch "
        f"{steps * config.step_epochs} of {epochs} it is at most {format_percent(_NEGLIGIBLE, digits=0)} of "
        f"{config.lr:g}. Try every {_epochs(new)}.",
        {"step_epochs": new},
    )


_CONFIG_RULES: tuple[Callable[[RunConfig], Finding | None], ...] = (
    _loss_and_output,
    _learning_rate,
    _unshuffled,
    _unnormalised,
    _steps_early,
)


def diagnose_run(
    config: RunConfig, curves: Mapping[str, Curve], data: DataFacts, *, ended: bool
) -> tuple[Finding, ...]:
    """Return the findings on a run's curves, and those on its settings that the curves have not superseded.

    curves: by series name (`batch/loss`, `val/loss`, …). ended: whether no further steps will follow. The findings
    replace all those of an earlier call. Each cause is named once: a warning about settings is left out as soon as the
    curves have shown its effect.
    """
    view = CurveView(config, curves, data, ended)
    with np.errstate(all="ignore"):  # curves may contain any float64
        failure = find_failure(view)
        if failure:
            found, named = [failure[0]], {failure[1].code}
        else:
            rules = (_run_away, find_setback, find_slow, _overfits, explain_training_below_validation)
            found, named = [finding for rule in rules if (finding := rule(view)) is not None], set()
    named |= {finding.code for finding in found}
    if view.epochs or failure:
        named |= {LR_LOW, LR_HIGH}
    settings = diagnose_config(config, train_images=view.train_images)
    expected = [f for f in settings if f.severity != "hint" and f.code not in named]
    return (*found, *expected)


def _overfits(view: CurveView) -> Finding | None:
    """Return the finding on a rising validation loss, or else on a gap, which a run that overfits has as well."""
    return find_overfitting(view) or find_gap(view)


def _run_away(view: CurveView) -> Finding | None:
    """Return the finding on NLL of raw logits in a run that learned nevertheless: its loss is meaningless."""
    if not runs_away(view):
        return None
    return Finding(
        NLL_ON_LOGITS,
        "mistake",
        f"The loss is {format_loss(view.now)} and falls without limit: NLL of raw logits rewards larger logits, not "
        "better answers. Use a log-softmax output, or use cross-entropy on logits.",
        CROSS_ENTROPY,
    )
