"""The specification of a sweep: a frozen record, read from a SPEC (strict) or the store (lenient), and written back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from lab.config import RunConfig
from lab.errors import ConfigError, near_miss
from lab.executors.base import LOCAL
from lab.metrics import VAL_ACCURACY, VAL_LOSS
from lab.sweeps.rungs import Halving, check_halving
from lab.sweeps.space import Space, read_space

SCHEMA = 1  # of a stored spec; a newer one is refused
MAX_TRIALS = 100_000
_ON_LIMIT = 16  # characters of an executor's id
UNNAMED = "sweep"  # the stored name of a sweep that nobody has named (`lab.runs.sweep_titles`)
NAME_LIMIT = 120  # the names of the trials' runs contain it
_KEYS = ("name", "base", "space", "method", "trials", "minutes", "halving", "seed", "on")


class Method(StrEnum):
    """How the next settings are chosen."""

    GRID = "grid"
    RANDOM = "random"
    TPE = "tpe"
    GP = "gp"


METHOD_TITLES = {
    Method.GRID: "Grid",
    Method.RANDOM: "Random",
    Method.TPE: "TPE (tree-structured Parzen estimator)",
    Method.GP: "Gaussian process",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """A sweep as it was requested.

    base: the settings that all trials share. trials: how many to create, None for no limit (a grid: all). minutes: of
    computing, summed over the trials. halving: None to train every trial to its end. on: the engine that trains the
    trials, such as "slurm"; "" for the slots of hosts.
    """

    name: str
    base: RunConfig
    space: Space
    method: Method = Method.TPE
    trials: int | None = None
    minutes: float | None = None
    halving: Halving | None = None
    seed: int = 0
    on: str = ""

    def config(self, params: Mapping[str, Any]) -> RunConfig:
        """Return a trial's settings. Raises `ConfigError` for parameters that are incompatible."""
        return self.base.replace(**params)

    def rungs(self, params: Mapping[str, Any]) -> tuple[int, ...]:
        """Return the epochs after which a trial is measured; the last one is its end."""
        epochs = int(params.get("epochs", self.base.epochs))
        return self.halving.rungs(epochs) if self.halving else (epochs,)

    def pause_epoch(self, params: Mapping[str, Any], rung: int) -> int | None:
        """Return the epoch after which a trial that trains to this rung is paused, or None if it trains to its end."""
        rungs = self.rungs(params)
        return rungs[rung] if rung < len(rungs) - 1 else None

    @property
    def seconds(self) -> float:
        """The budget of computing, in seconds."""
        return math.inf if self.minutes is None else 60.0 * self.minutes

    @property
    def by_accuracy(self) -> bool:
        """Whether trials are compared by validation accuracy, because they do not minimise the same loss."""
        return self.space.changes_loss

    @property
    def objective(self) -> str:
        """The series that trials are compared by."""
        return VAL_ACCURACY.id if self.by_accuracy else VAL_LOSS.id

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values with a schema number, for `from_dict`."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "base": self.base.as_dict(),
            "space": self.space.as_dict(),
            "method": self.method.value,
            "trials": self.trials,
            "minutes": self.minutes,
            "halving": None if self.halving is None else self.halving.as_dict(),
            "seed": self.seed,
            **({"on": self.on} if self.on else {}),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SweepSpec":
        """Read a stored spec; unknown keys are ignored. Raises `ConfigError`."""
        schema = values.get("schema")
        if type(schema) is not int or not 1 <= schema <= SCHEMA:
            raise ConfigError(
                f"The sweep has schema {schema!r}, but this release reads 1 to {SCHEMA}: update ConvLab to open it."
            )
        return read_spec({key: values[key] for key in _KEYS if key in values})

    def extended(
        self, *, trials: int | None = None, minutes: float | None = None, space: Space | None = None
    ) -> "SweepSpec":
        """Return the spec with more trials, more minutes or another space. Raises `ConfigError`."""
        for name, more in (("trials", trials), ("minutes", minutes)):
            if more is not None and getattr(self, name) is None:
                limited = [other for other in ("trials", "minutes") if getattr(self, other) is not None]
                way = f"add {limited[0]}" if limited else "it ends with its grid, so give it a wider space"
                raise ConfigError(
                    f"The sweep has no limit of {name}, so there is nothing to add to: {way}.", field=name
                )
        extended = replace(
            self,
            trials=self.trials if trials is None else (self.trials or 0) + read_trials(trials),
            minutes=self.minutes if minutes is None else (self.minutes or 0.0) + read_minutes(minutes),
            space=space or self.space,
        )
        return read_spec({key: value for key, value in extended.as_dict().items() if key in _KEYS})


def read_spec(values: object) -> SweepSpec:
    """Read and check a SPEC. Raises `ConfigError`: field, value, rule, way out."""
    if not isinstance(values, Mapping):
        raise ConfigError(f"The sweep is {str(values)[:60]!r}, but it must be a JSON object with base and space.")
    for key in values:
        if key not in _KEYS:
            raise ConfigError(f"A sweep has no key {str(key)[:60]!r}. {near_miss(str(key), _KEYS)}", field=str(key))
    base = _read_base(values.get("base", {}))
    space = read_space(values.get("space"))
    method = _read_method(values.get("method", Method.TPE.value))
    halving = _read_halving(values.get("halving"), base, space)
    trials = None if values.get("trials") is None else read_trials(values["trials"])
    minutes = None if values.get("minutes") is None else read_minutes(values["minutes"])
    if method is Method.GRID:
        space.grid(base)
    elif trials is None and minutes is None:
        raise ConfigError("The sweep would never end: give trials, minutes, or both.", field="trials")
    return SweepSpec(
        name=_read_name(values.get("name", "")),
        base=base,
        space=space,
        method=method,
        trials=trials,
        minutes=minutes,
        halving=halving,
        seed=_read_seed(values.get("seed", 0)),
        on=_read_on(values.get("on", "")),
    )


def read_trials(value: object) -> int:
    """Check a number of trials. Raises `ConfigError`."""
    if type(value) is not int or not 1 <= value <= MAX_TRIALS:
        raise ConfigError(
            f"trials is {value!r}, but it must be a whole number from 1 to {MAX_TRIALS:,}.", field="trials"
        )
    return value


def read_minutes(value: object) -> float:
    """Check a number of minutes. Raises `ConfigError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
        raise ConfigError(f"minutes is {value!r}, but it must be a number above 0.", field="minutes")
    return float(value)  # type: ignore[arg-type]


def _read_base(values: object) -> RunConfig:
    if not isinstance(values, Mapping):
        raise ConfigError(f"base is {str(values)[:60]!r}, but it must be an object of settings.", field="base")
    base = RunConfig.from_dict(values)
    if base.held_out == 0:
        raise ConfigError(
            "val_fraction is 0 in base, but a sweep chooses by the validation set, never by the test set: "
            "set it above 0, such as 0.1.",
            field="val_fraction",
        )
    return base


def _read_method(value: object) -> Method:
    try:
        return Method(value)  # type: ignore[arg-type]
    except ValueError:
        raise ConfigError(
            f"method is {str(value)[:60]!r}, which is not a method. {near_miss(str(value), list(Method))}",
            field="method",
        ) from None


def _read_halving(value: object, base: RunConfig, space: Space) -> Halving | None:
    if value is None:
        return None
    keys = tuple(Halving().as_dict())
    if not isinstance(value, Mapping):
        raise ConfigError(
            f'halving is {str(value)[:60]!r}, but it must be null or such as {{"factor": 4, "first_epochs": 1}}.',
            field="halving",
        )
    for key in value:
        if key not in keys:
            raise ConfigError(f"halving has no key {str(key)[:40]!r}. {near_miss(str(key), keys)}", field="halving")
    if "epochs" in space:
        raise ConfigError(
            "epochs is in the space, but halving cuts one length into rungs: set epochs in base, or halving to null.",
            field="epochs",
        )
    if base.max_steps or "max_steps" in space:
        raise ConfigError(
            "max_steps may end a run before its rung: set it to 0, or halving to null.", field="max_steps"
        )
    given = {**Halving().as_dict(), **value}
    return check_halving(given["factor"], given["first_epochs"], epochs=base.epochs)


def _read_name(value: object) -> str:
    if not isinstance(value, str) or len(value.strip()) > NAME_LIMIT:
        raise ConfigError(
            f"name is {str(value)[:60]!r}, but it must be text of at most {NAME_LIMIT} characters.", field="name"
        )
    return value.strip() or UNNAMED


def _read_seed(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise ConfigError(f"seed is {value!r}, but it must be a whole number from 0 to 2147483647.", field="seed")
    return value


def _read_on(value: object) -> str:
    if not isinstance(value, str) or len(value) > _ON_LIMIT:
        raise ConfigError(f"on is {str(value)[:60]!r}, but it must name an executor, such as {LOCAL}.", field="on")
    return "" if value == LOCAL else value
