"""Forks: runs that continue from a saved epoch of another run, with other settings.

A fork is an ordinary run whose configuration names the other run and the epoch. This module decides at which epochs a
fork can begin and which settings may change: those that affect neither the network's tensors nor the split of the
images. The worker creates the initial state (`lab.worker.fork_start`). No torch until shapes have to be compared.
"""

from dataclasses import dataclass
from typing import Any

from lab.config import RunConfig
from lab.config.steps import epoch_steps
from lab.errors import ConfigError, InputError
from lab.runs.records import WEIGHTS, RunRecord, SavedFile
from lab.runs.store import RunStore

_LISTED = 12  # epochs listed in a message
_FIXED = {
    "arch": "a fork has the network of the run that it continues",
    "dataset": "another data set would be tested on other images",
    "train_limit": "other images would be split again, and validation images could be among those already trained on",
    "val_fraction": "the images would be split again, and validation images could be among those already trained on",
    "folds": "the images would be split again, and validation images could be among those already trained on",
    "fold": "another fold's validation images would be among those already trained on",
    "init_from": "a fork's weights are those of the run that it continues",
}


@dataclass(frozen=True, slots=True)
class ForkPoint:
    """A whole epoch of a run whose weights are saved. steps_per_epoch: of that run."""

    run: RunRecord
    epoch: int
    weights: SavedFile
    steps_per_epoch: int


def check_names_a_point(config: RunConfig) -> None:
    """Raise `ConfigError` for a run without an epoch, or an epoch without a run."""
    if bool(config.fork_of) != bool(config.fork_epoch):
        given, absent = ("fork_of", "fork_epoch") if config.fork_of else ("fork_epoch", "fork_of")
        raise ConfigError(
            f"{given} is {getattr(config, given)!r}, but a fork needs {absent} too: the id of a run and one of its "
            "saved epochs.",
            field=absent,
        )


def list_fork_points(store: RunStore, run: RunRecord) -> tuple[ForkPoint, ...]:
    """Return the epochs of a run at which a fork can begin, in order: those whose weights were saved at their end."""
    steps = run.steps_per_epoch
    if not steps:
        return ()
    files = store.files.list(run.id, kind=WEIGHTS)
    return tuple(ForkPoint(run, file.epoch, file, steps) for file in files if file.step == file.epoch * steps)


def find_fork_point(store: RunStore, run: RunRecord, epoch: int) -> ForkPoint:
    """Return one epoch of a run at which a fork can begin. Raises `InputError` if it is not one."""
    points = list_fork_points(store, run)
    for point in points:
        if point.epoch == epoch:
            return point
    have = ", ".join(str(point.epoch) for point in points[:_LISTED]) + (", …" if len(points) > _LISTED else "")
    there = f"choose one of {have}" if points else "wait for its first epoch, or train it"
    raise InputError(f"Run {run.name or run.id} has no weights saved at the end of epoch {epoch}: {there}.")


def fork_config(point: ForkPoint, **changes: Any) -> RunConfig:
    """Return the settings of a fork: those of the run with these changes. Raises `ConfigError`."""
    return point.run.config.replace(**changes, fork_of=point.run.id, fork_epoch=point.epoch)


def check_fork(config: RunConfig, point: ForkPoint) -> None:
    """Raise `ConfigError` for a change that is not allowed in a fork, or with which nothing would be trained."""
    before = point.run.config
    for name, reason in _FIXED.items():
        _require_equal(config, before, name, reason)
    if before.held_out > 0:
        _require_equal(config, before, "seed", "validation images would be among those already trained on")
    if (config.arch_options, config.input_size) != (before.arch_options, before.input_size):
        _check_tensors(config, before)
    if config.epochs <= point.epoch:
        raise ConfigError(
            f"epochs is {config.epochs}, but a fork after epoch {point.epoch} counts from the start of the run that it "
            f"continues: set it to {point.epoch + 1} or more.",
            field="epochs",
        )
    done = point.epoch * _steps_with(config, point)
    if 0 < config.max_steps <= done:
        raise ConfigError(
            f"max_steps is {config.max_steps}, but epoch {point.epoch} ends at step {done:,}: "
            "set it above that, or to 0.",
            field="max_steps",
        )


def _steps_with(config: RunConfig, point: ForkPoint) -> int:
    """Return the number of steps in an epoch of the fork."""
    images = point.run.environment.train_images
    return epoch_steps(images, config.batch_size) if images else point.steps_per_epoch


def _require_equal(config: RunConfig, before: RunConfig, name: str, reason: str) -> None:
    value, was = getattr(config, name), getattr(before, name)
    if value != was:
        raise ConfigError(
            f"{name} is {value!r}, but it must stay {was!r} in a fork: {reason}. Train a separate run instead.",
            field=name,
        )


def _check_tensors(config: RunConfig, before: RunConfig) -> None:
    from lab.networks import build_on_meta

    new, old = build_on_meta(config).state_dict(), build_on_meta(before).state_dict()
    odd = sorted(new.keys() ^ old.keys()) or sorted(name for name in new if new[name].shape != old[name].shape)
    if odd:
        changed = "input_size" if config.arch_options == before.arch_options else "arch_options"
        raise ConfigError(
            f"{changed} is {getattr(config, changed)!r}, which gives the weights other shapes ({odd[0]}) than in the "
            "run that the fork continues: leave it as it is, or train a separate run.",
            field=changed,
        )
