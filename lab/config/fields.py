"""The description of a setting, from which form, flag, check, docs and fingerprint are derived, and its declaration.

A setting is declared once, as a field of `lab.config.run_config.RunConfig`; everything else is derived from its
`FieldSpec`.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.errors import ConfigError, near_miss
from lab.text import describe_character, hidden_character

Option: TypeAlias = str | int | float | bool | list[int]

_LARGEST_FLOAT = 10**300  # larger integers may not convert to float, and no setting needs them
LARGEST_INT = 2**31 - 1  # default upper bound of integers, which databases and torch support
_KIND_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a set of options"}


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """The description of one setting.

    low/high: inclusive bounds, except that `open_low` excludes low. relevant: whether the setting has an effect in
    combination with the others; if not, it is reset to its default before the fingerprint is computed. result: False
    for settings that change where or how fast a run is computed but not its result. short: its name in labels of runs,
    by default the label in lower case. choice_titles: display names of choices or of single numbers. step: the
    increment in a form, by default derived from the default value. unlimited: whether 0 means no limit and so compares
    above all numbers; its display name is in `choice_titles`. neutral: the value with the behaviour from before the
    setting existed, by default the default value; stored configurations without the setting get it, and it is omitted
    from fingerprints. identity: the setting's name in fingerprints, which is its first name and never changes.
    identity_values: the same for renamed choices.
    """

    name: str
    kind: type
    default: Any
    label: str
    help: str
    group: str
    low: float | None = None
    high: float | None = None
    open_low: bool = False
    choices: tuple[str, ...] = ()
    relevant: Callable[[Any], bool] = lambda _config: True
    result: bool = True
    short: str = ""
    choice_titles: Mapping[str, str] = dataclasses.field(default_factory=dict)
    step: float | None = None
    unlimited: bool = False
    neutral: Any = None
    identity: str = ""
    identity_values: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def flag(self) -> str:
        """The command-line flag, such as `--batch-size`; singular for a dictionary, each item of which is one flag."""
        name = self.name.removesuffix("s") if self.kind is dict else self.name
        return "--" + name.replace("_", "-")

    @property
    def short_label(self) -> str:
        """The setting's name in labels of runs."""
        return self.short or self.label.lower()

    def choice_title(self, choice: str) -> str:
        """Return the display name of a choice."""
        return self.choice_titles.get(choice, choice)

    def number_text(self, value: float) -> str:
        """Return a number with up to six digits, or its display name, such as "off" for 0."""
        return self.choice_title(f"{value:g}")

    def check(self, value: object) -> Any:
        """Return the value converted to the field's type. Raises `ConfigError` with value, rule and remedy."""
        checked = self._typed(value)
        if self.choices and checked not in self.choices:
            raise ConfigError(
                f"{self.name} is {shown(checked)}, which is not one of its values. "
                f"{near_miss(str(checked), self.choices)}",
                field=self.name,
            )
        if self.kind in (int, float):
            self._check_range(checked)
        if isinstance(checked, str) and (hidden := hidden_character(checked)):
            raise ConfigError(
                f"{self.name} is {shown(checked)}, which contains the {describe_character(hidden)}: remove it.",
                field=self.name,
            )
        return checked

    def _typed(self, value: object) -> Any:
        if self.kind is dict and isinstance(value, Mapping):
            return dict(value)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(max(-_LARGEST_FLOAT, min(_LARGEST_FLOAT, value)))
        if self.kind is int and isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, self.kind) and not (self.kind is int and isinstance(value, bool)):
            return value
        raise ConfigError(
            f"{self.name} is {shown(value)}, but it must be {_KIND_WORDS[self.kind]}. The default is {self.default!r}.",
            field=self.name,
        )

    def _check_range(self, value: int | float) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        # Written as "not inside", so that NaN fails too.
        inside = (low < value <= high) if self.open_low else (low <= value <= high)
        if inside and (isinstance(value, int) or math.isfinite(value)):
            return
        raise ConfigError(
            f"{self.name} is {shown(value)}, but it must be {self.range_words()}. The default is {self.default}.",
            field=self.name,
        )

    def range_words(self) -> str:
        """Describe the allowed range, such as "above 0 and at most 10"."""
        parts = []
        if self.low is not None:
            parts.append(f"above {_number(self.low)}" if self.open_low else f"at least {_number(self.low)}")
        if self.high is not None:
            parts.append(f"at most {_number(self.high)}")
        return " and ".join(parts) or "a finite number"


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def shown(value: object) -> str:
    """Return a value as text for messages: floats with six digits, at most 60 characters."""
    text = f"{value:g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def setting(default: Any, label: str, help: str, group: str, **rest: Any) -> Any:
    """Declare one field of a configuration. rest: further fields of `FieldSpec`."""
    metadata = {"label": label, "help": help, "group": group, **rest}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def build_specs(config: type[Any]) -> dict[str, FieldSpec]:
    """Return the specs of a configuration class by name, in the order of its fields."""
    specs = {}
    for item in dataclasses.fields(config):
        factory = item.default_factory
        default = factory() if factory is not dataclasses.MISSING else item.default
        kind: type = type(default)
        given: dict[str, Any] = {"neutral": default, "identity": item.name, **item.metadata}
        if kind is int:
            given.setdefault("high", LARGEST_INT)
        specs[item.name] = FieldSpec(name=item.name, kind=kind, default=default, **given)
    return specs
