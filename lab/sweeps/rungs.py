"""Rungs: the epochs after which a trial is compared with the others and paused, all on a single schedule.

The number of epochs is fixed beforehand, so that a schedule that depends on it is the same for a trial that stops early
and one that continues (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", section 3).
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lab.errors import ConfigError

MAX_FACTOR = 100


@dataclass(frozen=True, slots=True)
class Halving:
    """One in `factor` of the trials at a rung continues to the next; the first rung is after `first_epochs` epochs."""

    factor: int = 4
    first_epochs: int = 1

    def as_dict(self) -> dict[str, Any]:
        """Return it in the form of a SPEC."""
        return {"factor": self.factor, "first_epochs": self.first_epochs}

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Return the epochs of the rungs, the last of which is the end of the run."""
        return _rungs(self.factor, self.first_epochs, epochs)


@lru_cache(maxsize=256)  # called several times for every trial in each decision
def _rungs(factor: int, first_epochs: int, epochs: int) -> tuple[int, ...]:
    found, epoch = [], first_epochs
    while epoch < epochs:
        found.append(epoch)
        epoch *= factor
    return (*found, epochs)


def check_halving(factor: object, first_epochs: object, *, epochs: int) -> Halving:
    """Return the halving of runs with this number of epochs. Raises `ConfigError`."""
    if type(factor) is not int or not 2 <= factor <= MAX_FACTOR:
        raise ConfigError(
            f"halving.factor is {factor!r}, but it must be a whole number from 2 to {MAX_FACTOR}: 4 is usual.",
            field="halving",
        )
    if type(first_epochs) is not int or first_epochs < 1:
        raise ConfigError(
            f"halving.first_epochs is {first_epochs!r}, but it must be a whole number of at least 1.", field="halving"
        )
    if first_epochs >= epochs:
        raise ConfigError(
            f"halving.first_epochs is {first_epochs}, but the runs have {epochs} epochs, so none would be "
            "paused: give fewer, or no halving.",
            field="halving",
        )
    return Halving(factor, first_epochs)
