"""The settings that a sweep varies: lists of values or ranges for the form's fields, some of them under conditions.

A parameter that has no effect with the other settings (`FieldSpec.relevant`, such as momentum with Adam), or whose
condition is not met, is left out of a trial, so that equal trials have equal parameters.
"""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.config import FIELDS, OBJECTIVE, FieldSpec, RunConfig
from lab.config.fields import shown
from lab.errors import ConfigError, near_miss

MAX_GRID = 100_000  # combinations in a grid
_KEYS = ("values", "low", "high", "log", "step", "when")
_DIGITS = 4  # significant digits of a value drawn from a range
_EXACT_DIGITS = 14  # of a value on a step, so that 0.1 + 2 * 0.1 is 0.3
_ON_STEP = 1e-8  # relative to a step, as in Optuna
_COMPARED_ON = "determines the images on which trials are compared"
_FORKS = "determines which run the trials continue"
_NOT_VARIED = {
    "dataset": _COMPARED_ON,
    "train_limit": _COMPARED_ON,
    "val_fraction": _COMPARED_ON,
    "folds": _COMPARED_ON,
    "fold": _COMPARED_ON,
    "fork_of": _FORKS,
    "fork_epoch": _FORKS,
}
SWEEPABLE = {name: spec for name, spec in FIELDS.items() if spec.result and name not in _NOT_VARIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One setting that varies: over `values`, or from `low` to `high` (both inclusive; log: uniform in the logarithm).

    step: distance between the values of a range, None for any value (1 for integers). when: settings that must each
    have one of the given values, or else the parameter is left out.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def spec(self) -> FieldSpec:
        """The field that varies."""
        return FIELDS[self.name]

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return self.spec.kind is int

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of its range. Raises `ValueError` for a list of values."""
        if self.low is None or self.high is None:
            raise ValueError(f"{self.name} has values and no range")
        return self.low, self.high

    def contains(self, value: Any) -> bool:
        """Return whether a value is inside the space."""
        if self.values:
            return value in self.values
        low, high = self.bounds
        if not isinstance(value, int | float) or not low <= value <= high:
            return False
        steps = (value - low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < _ON_STEP

    def at(self, share: float) -> Any:
        """Return the value at a fraction of the way through the space; share: in [0, 1)."""
        if self.values:
            return self.values[int(share * len(self.values))]
        count = None if self.log else self._count()
        low, high = self.bounds
        if count is not None:
            return self.rounded(low + int(share * count) * (self.step or 1))
        if not self.log:
            return self.rounded(low + share * (high - low))
        if self.whole:  # half a unit on both sides, so that the end values are drawn like the others
            low, high = low - 0.5, high + 0.5
        return self.rounded(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))

    def rounded(self, value: float) -> Any:
        """Return a number as it is stored: an integer or rounded to few digits, and inside the range."""
        low, high = self.bounds
        digits = _EXACT_DIGITS if self.step else _DIGITS
        near = round(value) if self.whole else float(f"{value:.{digits}g}")
        inside = min(max(near, low), high)
        return int(inside) if self.whole else float(inside)

    def grid(self) -> tuple[Any, ...]:
        """Return every value, in order. Raises `ConfigError` for a range without a step."""
        if self.values:
            return self.values
        count = self._count()
        if count is None:
            raise ConfigError(
                f"{self.name} is a range without a step, so its grid would be infinite: give its values, or a step.",
                field=self.name,
            )
        if count > MAX_GRID:
            raise ConfigError(
                f"{self.name} has {count:,} values, but a grid takes at most {MAX_GRID:,}: "
                "give fewer, or a wider step.",
                field=self.name,
            )
        low, _ = self.bounds
        return tuple(self.rounded(low + k * (self.step or 1)) for k in range(count))

    def _count(self) -> int | None:
        """Return how many values a range has, or None if it has no step."""
        low, high = self.bounds
        step = self.step or (1 if self.whole else None)
        return None if step is None else 1 + math.floor((high - low) / step + 1e-9)

    def as_dict(self) -> dict[str, Any]:
        """Return a dict that `read_parameter` accepts."""
        found: dict[str, Any] = {"values": list(self.values)} if self.values else {"low": self.low, "high": self.high}
        if self.log:
            found["log"] = True
        if self.step is not None:
            found["step"] = self.step
        if self.when:
            found["when"] = {name: list(values) for name, values in self.when.items()}
        return found


@dataclass(frozen=True, slots=True)
class Space:
    """All parameters of a sweep, in the order of the form; those without a condition come first."""

    parameters: tuple[Parameter, ...]

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __contains__(self, name: str) -> bool:
        return any(parameter.name == name for parameter in self.parameters)

    @property
    def changes_loss(self) -> bool:
        """Whether trials minimise different losses, which are not comparable."""
        return any(parameter.name in OBJECTIVE for parameter in self.parameters)

    def contains(self, params: Mapping[str, Any]) -> bool:
        """Return whether a trial's parameters are all inside the space."""
        known = {parameter.name: parameter for parameter in self.parameters}
        return all(name in known and known[name].contains(value) for name, value in params.items())

    def choose(self, base: RunConfig, pick: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Return one trial's parameters; `pick` chooses the value of each that has an effect given those before it."""
        params: dict[str, Any] = {}
        config = base
        for parameter in self.parameters:
            if not is_active(parameter, config):
                continue
            params[parameter.name] = parameter.spec.check(pick(parameter))
            config = base.replace(**params)
        # A later parameter may make an earlier one ineffective.
        return {name: value for name, value in params.items() if FIELDS[name].relevant(config)}

    def of_config(self, config: RunConfig) -> dict[str, Any]:
        """Return the parameters that a configuration has."""
        return {p.name: getattr(config, p.name) for p in self.parameters if is_active(p, config)}

    def grid(self, base: RunConfig) -> tuple[dict[str, Any], ...]:
        """Return every combination once, the last parameter varying fastest. Raises `ConfigError` if it is infinite."""
        axes = [parameter.grid() for parameter in self.parameters]
        size = math.prod(map(len, axes))
        if size > MAX_GRID:
            raise ConfigError(
                f"The grid has {size:,} combinations, but at most {MAX_GRID:,} fit: give fewer values.", field="space"
            )
        found: dict[str, dict[str, Any]] = {}
        for combination in itertools.product(*axes):
            chosen = {p.name: value for p, value in zip(self.parameters, combination, strict=True)}
            params = self.choose(base, lambda parameter, chosen=chosen: chosen[parameter.name])  # type: ignore[misc]
            found.setdefault(params_key(params), params)
        return tuple(found.values())

    def as_dict(self) -> dict[str, Any]:
        """Return a dict that `read_space` accepts."""
        return {parameter.name: parameter.as_dict() for parameter in self.parameters}


def is_active(parameter: Parameter, config: RunConfig) -> bool:
    """Return whether a parameter has an effect with a configuration's other settings."""
    met = all(getattr(config, name) in values for name, values in parameter.when.items())
    return met and parameter.spec.relevant(config)


def params_key(params: Mapping[str, Any]) -> str:
    """Return a key that is equal for equal parameters."""
    return json.dumps(dict(params), sort_keys=True)


def read_space(values: object) -> Space:
    """Read and check the space of a SPEC. Raises `ConfigError`: field, value, rule, way out."""
    if not isinstance(values, Mapping) or not values:
        raise ConfigError(
            "The space is empty: name at least one setting to vary, such as "
            '{"lr": {"low": 0.0001, "high": 0.1, "log": true}}.',
            field="space",
        )
    parameters = [read_parameter(str(name), given) for name, given in values.items()]
    for parameter in parameters:
        _check_parents(parameter, parameters)
    order = list(FIELDS)
    return Space(tuple(sorted(parameters, key=lambda p: (bool(p.when), order.index(p.name)))))


def read_parameter(name: str, given: object) -> Parameter:
    """Read and check one parameter of a space. Raises `ConfigError`."""
    if name in FIELDS and name not in SWEEPABLE:
        why = _NOT_VARIED.get(name, "does not change the result of a run")
        raise ConfigError(f"{name} {why}, so a sweep cannot vary it: set it in base.", field=name)
    if name not in SWEEPABLE:
        raise ConfigError(f"There is no setting {name[:60]!r} to vary. {near_miss(name, SWEEPABLE)}", field=name)
    if not isinstance(given, Mapping):
        raise ConfigError(
            f'{name} is {shown(given)}, but it must be {{"values": […]}} or {{"low": …, "high": …}}.', field=name
        )
    for key in given:
        if key not in _KEYS:
            raise ConfigError(f"{name} has no {str(key)[:40]!r}. {near_miss(str(key), _KEYS)}", field=name)
    when = _read_when(name, given.get("when", {}))
    if "values" in given:
        others = [key for key in ("low", "high", "log", "step") if key in given]
        if others:
            raise ConfigError(f"{name} has values and {others[0]}: give either values or a range.", field=name)
        return Parameter(name=name, values=_read_values(name, given["values"]), when=when)
    return _read_range(name, given, when)


def _read_values(name: str, values: object) -> tuple[Any, ...]:
    if not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ConfigError(f"{name} has the values {shown(values)}, but it needs a list of at least one.", field=name)
    checked = tuple(FIELDS[name].check(value) for value in values)
    twice = next((value for at, value in enumerate(checked) if value in checked[:at]), None)
    if twice is not None:
        raise ConfigError(f"{name} has the value {shown(twice)} twice: give each once.", field=name)
    return checked


def _read_range(name: str, given: Mapping[str, Any], when: Mapping[str, tuple[Any, ...]]) -> Parameter:
    spec = FIELDS[name]
    missing = [key for key in ("low", "high") if key not in given]
    if missing:
        raise ConfigError(f"{name} has no {missing[0]}: give its values, or low and high.", field=name)
    if spec.kind not in (int, float):
        raise ConfigError(f"{name} has a range, but it is not a number: give its values.", field=name)
    low, high = spec.check(given["low"]), spec.check(given["high"])
    log, step = given.get("log", False), given.get("step")
    if not isinstance(log, bool):
        raise ConfigError(f"{name} has log {shown(log)}, but it must be true or false.", field=name)
    if low >= high:
        raise ConfigError(f"{name} has low {low:g} and high {high:g}: low must be below high.", field=name)
    if log and low <= 0:
        raise ConfigError(
            f"{name} has low {low:g} on a logarithmic scale: low must be above 0, or leave log out.", field=name
        )
    if step is not None:
        _check_step(name, step, high - low, log=log)
    return Parameter(name=name, low=low, high=high, log=log, step=step, when=when)


def _check_step(name: str, step: object, width: float, *, log: bool) -> None:
    if log:
        raise ConfigError(f"{name} has both log and step: leave one of them out.", field=name)
    number = isinstance(step, int | float) and not isinstance(step, bool)
    if not number or not 0 < float(step) <= width:  # type: ignore[arg-type]
        raise ConfigError(
            f"{name} has the step {shown(step)}, but it must be above 0 and at most {width:g}.", field=name
        )
    if FIELDS[name].kind is int and not float(step).is_integer():  # type: ignore[arg-type]
        raise ConfigError(f"{name} has the step {shown(step)}, but it must be a whole number.", field=name)


def _read_when(name: str, when: object) -> dict[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping):
        raise ConfigError(
            f'{name} has the condition {shown(when)}, but it must be such as {{"optimizer": ["sgd"]}}.', field=name
        )
    found: dict[str, tuple[Any, ...]] = {}
    choices = [one for one, spec in SWEEPABLE.items() if spec.kind is str and one != "init_from"]
    for key, values in when.items():
        if key not in choices or key == name:
            raise ConfigError(
                f"{name} depends on {str(key)[:40]!r}, but it can depend only on a choice. "
                f"{near_miss(str(key), choices)}",
                field=name,
            )
        listed = [values] if isinstance(values, str) else values
        found[str(key)] = _read_values(str(key), listed)
    return found


def _check_parents(parameter: Parameter, parameters: Sequence[Parameter]) -> None:
    for parent in parameters:
        if parent.name in parameter.when and parent.when:
            raise ConfigError(
                f"{parameter.name} depends on {parent.name}, which has a condition itself: give both conditions to "
                f"{parameter.name}.",
                field=parameter.name,
            )
