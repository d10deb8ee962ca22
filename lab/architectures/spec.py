"""The registry entry of a network and its options, which are available without building it. No torch.

An entry names its builder as `"module:function"`, so that lists, forms and the help of the CLI open without torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.architectures.layer_list import normalise_layers
from lab.config import Option
from lab.errors import ConfigError, near_miss

AUXILIARY_WEIGHT = 0.3  # of the loss of each auxiliary classifier; Szegedy et al. 2014, section 5
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", list: "a list of whole numbers"}


@dataclass(frozen=True, slots=True)
class ArchOption:
    """One option of a network.

    kind: `int`, `float`, `bool`, `list` (of whole numbers), or `str`: one of `choices`, or without choices a list of
    layers (`lab.architectures.layer_list`). low/high: inclusive bounds, of each item for a list. items: smallest and largest allowed number of items of a list. choice_titles: display names of
    choices, by default the choices themselves. title: the option's display name, by default its name in words.
    """

    name: str
    kind: type
    default: Option
    help: str
    low: float = -math.inf
    high: float = math.inf
    items: tuple[int, int] = (1, 64)
    choices: tuple[str, ...] = ()
    choice_titles: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    @property
    def label(self) -> str:
        """The option's name in texts, such as "batch norm"."""
        return self.title or self.name.replace("_", " ")

    def choice_title(self, choice: str) -> str:
        """Return the display name of a choice."""
        return self.choice_titles.get(choice, choice)

    def value_words(self, value: object) -> str:
        """Return a value as display text: a choice by its title, a number with up to six digits, "yes" or "no"."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{value:g}" if isinstance(value, float) else self.choice_title(str(value))

    def words(self, value: object) -> str:
        """Return the option with a value as display text, such as "activation ReLU" or "no batch norm"."""
        if isinstance(value, bool):
            return self.label if value else f"no {self.label}"
        return f"{self.label} {self.value_words(value)}"

    @property
    def is_layer_list(self) -> bool:
        """Whether the option is a list of layers as text."""
        return self.kind is str and not self.choices

    @property
    def keeps_layers(self) -> bool:
        """Whether no value adds or removes layers, so that the option does not affect which image sizes are accepted.

        This holds for fractions, which drop values or scale channels, and for lists of fixed length (channels or
        units).
        """
        return self.kind is float or (self.kind is list and self.items[0] == self.items[1])

    def check(self, value: object, *, arch: str) -> Option:
        """Return the value converted to the option's type. Raises `ConfigError` for an invalid value."""
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if self.kind is list and type(value) is int:
            value = [value]
        if self.kind is list and isinstance(value, tuple):
            value = list(value)
        if self.is_layer_list and isinstance(value, list | str):  # a flag's value is split at its commas
            return normalise_layers(value if isinstance(value, str) else ", ".join(map(str, value)))
        if not self._typed(value) or not self._inside(value):
            raise ConfigError(
                f"{arch} has {self.name} = {value!r}, but it must be {self.rule()}. The default is {self.default}.",
                field="arch_options",
            )
        checked: Any = value
        return list(checked) if self.kind is list else checked

    def _typed(self, value: object) -> bool:
        if self.kind is list:
            return isinstance(value, list) and all(type(item) is int for item in value)
        return type(value) is self.kind

    def _inside(self, value: Any) -> bool:
        if self.kind is bool:
            return True
        if self.kind is str:
            return value in self.choices
        values = value if self.kind is list else [value]
        fits = self.items[0] <= len(values) <= self.items[1] if self.kind is list else True
        return fits and all(self.low <= v <= self.high for v in values)  # NaN is not inside

    def rule(self) -> str:
        """Describe the allowed values, such as "a number, at least 0 and at most 0.9"."""
        if self.is_layer_list:
            return "a list of layers, such as 'conv 16 5, relu, maxpool 2'"
        if self.kind is str:
            return f"one of {', '.join(self.choices)}"
        words = _WORDS[self.kind]
        if self.kind is list:
            low, high = self.items
            words = f"{f'{low}' if low == high else f'{low} to {high}'} whole numbers"
        bounds = []
        if math.isfinite(self.low):
            bounds.append(f"at least {self.low:g}")
        if math.isfinite(self.high):
            bounds.append(f"at most {self.high:g}")
        return f"{words}, {'each ' if self.kind is list else ''}{' and '.join(bounds)}" if bounds else words


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One network of the registry.

    family: the group in lists, "" for none. source: where it comes from (paper or repository). report: which student
    reports used it, "" for none. default_input_size: "native" (that of the data), or the side in pixels to which the
    report resized. auxiliary: options that add auxiliary classifiers, and the number of these, each of which adds its
    loss with the weight `AUXILIARY_WEIGHT` to the training objective. order: the position in lists, smallest first;
    networks without one come last, sorted by id.
    """

    id: str
    title: str
    description: str
    source: str
    builder: str
    family: str = ""
    report: str = ""
    default_input_size: str = "native"
    options: tuple[ArchOption, ...] = ()
    auxiliary: Mapping[str, int] = field(default_factory=dict)
    order: int = 10_000

    @property
    def lists_layers(self) -> bool:
        """Whether one of its options is the list of its layers."""
        return any(option.is_layer_list for option in self.options)

    @property
    def reports(self) -> str:
        """The reports that used the network, as a sentence such as "Reports C, E."; "" for none."""
        word = "Reports" if "," in self.report else "Report"
        return f"{word} {self.report}." if self.report else ""

    @property
    def origin(self) -> str:
        """Source and reports in one line; a report that is the source is named once."""
        known = self.source.startswith("Report")
        return f"Source: {self.source}." + ("" if known or not self.report else f" {self.reports}")

    def option(self, name: str) -> ArchOption:
        """Return the option with this name. Raises `ConfigError`, which suggests the closest name."""
        for option in self.options:
            if option.name == name:
                return option
        if not self.options:
            raise ConfigError(f"{self.id} has no option {name!r}: it has no options.", field="arch_options")
        known = [o.name for o in self.options]
        raise ConfigError(f"{self.id} has no option {name!r}. {near_miss(name, known)}", field="arch_options")

    def objective_weight(self, options: Mapping[str, Option]) -> float:
        """Return the sum of the weights of all losses in the training objective. options: complete."""
        return 1.0 + AUXILIARY_WEIGHT * sum(count for name, count in self.auxiliary.items() if options[name])


def check_options(arch: Architecture, options: Mapping[str, Any]) -> dict[str, Option]:
    """Return the checked options that differ from the network's defaults. Raises `ConfigError` for an invalid option.

    So equal networks have equal options, and equal fingerprints.
    """
    checked = {name: arch.option(name).check(value, arch=arch.id) for name, value in options.items()}
    return {name: value for name, value in sorted(checked.items()) if value != arch.option(name).default}


def complete_options(arch: Architecture, options: Mapping[str, Any]) -> dict[str, Option]:
    """Return all options of the network, checked and completed with the defaults."""
    return {o.name: o.default for o in arch.options} | check_options(arch, options)
