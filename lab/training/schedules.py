"""The learning rate of each update as a pure function: a resumed run needs no scheduler state."""

import math

import numpy as np

from lab.config import RunConfig
from lab.config.steps import ONE_CYCLE_RISE

# One-cycle as in Smith & Topin (arXiv:1708.07120) with PyTorch's defaults.
START_DIVISOR = 25.0  # first learning rate = highest / this
END_DIVISOR = 1e4  # last learning rate = first / this
RECORDED = 500  # points of a smooth schedule: about the width of a chart in pixels


def compute_lr(config: RunConfig, step: int, *, steps_per_epoch: int, total_steps: int) -> float:
    """Return the learning rate of update `step`, counted from 0."""
    if config.schedule == "one-cycle":
        return config.lr * _one_cycle(step, total_steps)
    warm = round(config.warmup_epochs * steps_per_epoch)
    rise = min(1.0, (step + 1) / warm) if warm else 1.0
    if config.schedule == "step":
        return config.lr * rise * config.gamma ** (step // steps_per_epoch // config.step_epochs)
    if config.schedule == "cosine":
        share = max(0, step - warm) / max(1, total_steps - warm)
        return config.lr * rise * 0.5 * (1.0 + math.cos(math.pi * share))
    return config.lr * rise


def is_constant(config: RunConfig) -> bool:
    """Return whether every step has the same learning rate, so that more epochs continue the same run."""
    return config.schedule == "constant" and config.warmup_epochs == 0


def recorded_steps(config: RunConfig, *, steps_per_epoch: int, total_steps: int) -> np.ndarray:
    """Return the updates (int64, counted from 1) at which the learning rate is recorded, for a piecewise linear curve.

    These are the first update, RECORDED updates spread over the run, and both sides of every kink. Updates at which the
    rate does not change are omitted, and ends of epochs, which are recorded anyway. Empty for a constant rate.
    """
    if is_constant(config):
        return np.empty(0, dtype=np.int64)

    def rate(update: int) -> float:
        inside = min(max(update, 1), total_steps) - 1
        return compute_lr(config, inside, steps_per_epoch=steps_per_epoch, total_steps=total_steps)

    spread = np.linspace(1, total_steps, min(total_steps, RECORDED)).round().astype(np.int64)
    candidates = np.unique(np.concatenate([[1], spread, _kinks(config, steps_per_epoch, total_steps)]))
    inside = candidates[
        (candidates >= 1) & (candidates < total_steps) & ((candidates % steps_per_epoch != 0) | (candidates == 1))
    ]
    changing = [u == 1 or rate(u) != rate(u - 1) or rate(u) != rate(u + 1) for u in inside.tolist()]
    recorded: np.ndarray = inside[np.array(changing, dtype=bool)]
    return recorded


def _kinks(config: RunConfig, steps_per_epoch: int, total_steps: int) -> np.ndarray:
    """Return the updates on both sides of each kink or jump of the schedule."""
    if config.schedule == "one-cycle":
        breaks = [ONE_CYCLE_RISE * total_steps]
    else:
        breaks = [round(config.warmup_epochs * steps_per_epoch)]
        every = steps_per_epoch * config.step_epochs
        if config.schedule == "step":
            breaks += range(every, total_steps, every)
    last = np.floor(np.array(breaks, dtype=np.float64)).astype(np.int64)
    return np.concatenate([last, last + 1])


def _one_cycle(step: int, total_steps: int) -> float:
    first = 1.0 / START_DIVISOR
    last = first / END_DIVISOR
    top_step = ONE_CYCLE_RISE * total_steps - 1.0
    if total_steps == 1:
        return 1.0
    if step <= top_step:
        return _cosine_between(first, 1.0, step / top_step)
    return _cosine_between(1.0, last, (step - top_step) / (total_steps - 1.0 - top_step))


def _cosine_between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * share))
