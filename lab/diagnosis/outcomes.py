"""Whether a run diverged or is no better than guessing, for any loss function.

At chance: on every held-out split the accuracy is at most that of always predicting the largest class, within three
standard errors. Diverged: the loss is not finite, or far above that of guessing, or a run at chance was better before.
"""

import math

import numpy as np

from lab.config.steps import ONE_CYCLE_RISE
from lab.diagnosis.causes import MIN_STEPS, Cause, cause_of_divergence, cause_of_no_learning, run_epochs
from lab.diagnosis.curves import ACCURACIES, RECENT_STEPS, CurveView, is_bounded, mean_of, share
from lab.findings import AT_CHANCE, DIVERGED, Finding
from lab.formatting import format_loss
from lab.metrics import BATCH_ACCURACY, BATCH_LOSS, TRAIN_ACCURACY, TRAIN_LOSS, Split

_MOSTLY_RIGHT = 0.5  # training accuracy above which a high loss is not divergence
_FAR_ABOVE = 2.0  # times the guessing level
_LEARNED = 0.05  # accuracy above chance that counts as learned
_FITTED = 0.5  # of the way from chance to all training images right


def find_failure(view: CurveView) -> tuple[Finding, Cause] | None:
    """Return the finding that the run diverged or is at chance with its cause, or None."""
    return _not_finite(view) or _far_above(view) or _at_chance(view)


def runs_away(view: CurveView) -> bool:
    """Whether the loss, NLL of raw logits, has fallen below any value that a loss of probabilities can reach."""
    return view.config.loss == "nll" and view.config.output == "logits" and view.now < -1.0


def _failure(code: str, what: str, cause: Cause) -> tuple[Finding, Cause]:
    return Finding(code, "mistake", f"{what} {cause.text}", cause.remedy), cause


def _not_finite(view: CurveView) -> tuple[Finding, Cause] | None:
    metric = BATCH_LOSS if view.batch_loss.size else TRAIN_LOSS
    curve = view.curves.get(metric.id)
    if curve is None or not len(curve.value) or math.isfinite(curve.value[-1]):
        return None  # loss scaling skips a single non-finite batch, and training continues
    finite = np.flatnonzero(np.isfinite(curve.value))
    first = int(finite[-1]) + 1 if finite.size else 0
    step, value = int(curve.step[first]), format_loss(float(curve.value[first]))
    what = f"Diverged: the loss is {value} from step {step:,}{_in_epoch(view, step)} on and the weights are lost."
    return _failure(DIVERGED, what, cause_of_divergence(view))


def _in_epoch(view: CurveView, step: int) -> str:
    if not view.epochs:
        return ""
    return f" (epoch {int(np.searchsorted(view.epoch_steps, step)) + 1})"


def _far_above(view: CurveView) -> tuple[Finding, Cause] | None:
    """Return the finding that the training loss is far above guessing while most predictions are wrong."""
    bounded = is_bounded(view.config) or view.level <= 0  # NLL of raw logits starts at 0 and diverges downwards
    if bounded or not (view.epochs or view.steps >= MIN_STEPS):
        return None
    accuracy = view.last(TRAIN_ACCURACY) if view.epochs else _recent_accuracy(view)
    if not min(view.now, view.recent) > _FAR_ABOVE * view.level or accuracy > _MOSTLY_RIGHT:
        return None
    what = (
        f"Diverged: the training loss is {format_loss(view.now)}{_when(view)}, and guessing gives "
        f"{format_loss(view.level)}."
    )
    return _failure(DIVERGED, what, cause_of_divergence(view))


def _recent_accuracy(view: CurveView) -> float:
    curve = view.curves.get(BATCH_ACCURACY.id)
    return math.nan if curve is None else mean_of(curve.value[-RECENT_STEPS:])


def _when(view: CurveView) -> str:
    return f" after epoch {view.epochs}" if view.epochs else f" after {view.steps:,} steps"


def _at_chance(view: CurveView) -> tuple[Finding, Cause] | None:
    if not view.ended and (view.steps < MIN_STEPS or _is_warming_up(view)):
        return None
    return _epochs_at_chance(view) if view.epochs else _batches_at_chance(view)


def _is_warming_up(view: CurveView) -> bool:
    if view.config.schedule == "one-cycle":
        return view.epochs < ONE_CYCLE_RISE * run_epochs(view.config, view.train_images)
    return view.epochs < view.config.warmup_epochs


def _epochs_at_chance(view: CurveView) -> tuple[Finding, Cause] | None:
    splits = view.held_out()
    if not splits or any(view.last(ACCURACIES[s]) > view.data.chance(s) for s in splits):
        return None
    if runs_away(view):
        what = f"Diverged: the loss fell to {format_loss(view.now)}{_when(view)} without better answers."
        return _failure(DIVERGED, what, cause_of_no_learning(view))
    split = splits[0]
    learned = _best_before(view, split)
    now = share(view.last(ACCURACIES[split]))
    if learned:
        epoch, best = learned
        then = f"epoch {epoch}" if epoch else "before training"
        what = f"Diverged: the {split.label} accuracy fell from {share(best)} ({then}) to {now}{_when(view)}."
        return _failure(DIVERGED, what, cause_of_divergence(view))
    what = (
        f"No better than guessing: {now} of the {split.label} images are right{_when(view)}; {_guessing(view, split)}."
    )
    if view.last(TRAIN_ACCURACY) > view.data.chance(Split.TRAIN) + _FITTED * (1 - view.data.chance(Split.TRAIN)):
        fitted = Cause(
            f"{share(view.last(TRAIN_ACCURACY))} of the training images are right: the network only memorised them."
        )
        return _failure(AT_CHANCE, what, fitted)
    return _failure(AT_CHANCE, what, cause_of_no_learning(view))


def _guessing(view: CurveView, split: Split) -> str:
    if split in view.data.largest:
        return f"always naming the largest class gets {share(view.data.share(split))}"
    return f"guessing among {view.data.classes} classes gets about {share(1 / view.data.classes)}"


def _best_before(view: CurveView, split: Split) -> tuple[int, float] | None:
    """Return the epoch with the highest accuracy and this, if it was better than guessing; 0 is before training."""
    accuracy = np.concatenate([[view.first(ACCURACIES[split], step=0)], view.at_epochs(ACCURACIES[split])])
    if not np.isfinite(accuracy).any():
        return None
    best = int(np.nanargmax(accuracy))
    learned = accuracy[best] > view.data.chance(split) + _LEARNED
    return (best, float(accuracy[best])) if learned else None


def _batches_at_chance(view: CurveView) -> tuple[Finding, Cause] | None:
    curve = view.curves.get(BATCH_ACCURACY.id)
    recent = np.empty(0) if curve is None else np.asarray(curve.value[-RECENT_STEPS:], dtype=np.float64)
    if not recent.size or view.steps < MIN_STEPS or _is_warming_up(view):
        return None
    accuracy = mean_of(recent)
    if not accuracy <= view.data.chance(Split.TRAIN, images=recent.size * view.config.batch_size):
        return None
    what = (
        f"No better than guessing: {share(accuracy)} of the training images are right after {view.steps:,} steps; "
        f"{_guessing(view, Split.TRAIN)}."
    )
    return _failure(AT_CHANCE, what, cause_of_no_learning(view))
