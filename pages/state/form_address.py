"""The Train form's settings in the address: a link or a reload restores the form.

The address is empty until a setting differs from those of a fresh form; then it has all settings that differ from a
configuration's defaults, each under its own name, and options of the network as `option.<name>`. The data set is always
among them, because a fresh form chooses it by what is on the machine. Pure functions without Streamlit.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.architectures.registry import Architecture, get_architecture
from lab.config import FIELDS, RunConfig
from lab.data.registry import get_dataset_spec
from lab.errors import LabError
from pages.state.codec import shorten, split, switch, unknown, write, wrong

_OPTION = "option."
_NAMED: Mapping[str, Callable[[str], object]] = {"arch": get_architecture, "dataset": get_dataset_spec}


def is_setting(name: str) -> bool:
    """Whether a parameter in the address is a setting of the form."""
    return (name in FIELDS and FIELDS[name].kind is not dict) or is_option(name)


def is_option(name: str) -> bool:
    """Whether a parameter in the address is an option of a network."""
    return name.startswith(_OPTION)


def write_settings(config: RunConfig, *, fresh: RunConfig) -> dict[str, str]:
    """Return the settings as they are written in the address, none for a fresh form."""
    if config == fresh:
        return {}
    usual = RunConfig()
    plain = {
        name: write(getattr(config, name))
        for name, spec in FIELDS.items()
        if spec.kind is not dict and (name == "dataset" or getattr(config, name) != getattr(usual, name))
    }
    return plain | write_options(config.arch_options)


def write_options(options: Mapping[str, Any]) -> dict[str, str]:
    """Return a network's options as they are written in the address. options: those that differ from its defaults."""
    return {
        _OPTION + name: write(tuple(value) if isinstance(value, list) else value)
        for name, value in sorted(options.items())
    }


def read_settings(address: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]:
    """Return the settings and the network's options in an address, and a message for each part that was ignored."""
    settings: dict[str, Any] = {}
    problems: list[str] = []
    for name, text in address.items():
        if is_option(name):
            continue
        spec = FIELDS[name]
        try:
            if name in _NAMED:
                _NAMED[name](text)
            settings[name] = spec.check(_typed(spec.kind, text))
        except ValueError as error:
            problems.append(wrong(name, text, str(error)))
        except LabError as error:
            problems.append(f"The address has {name}={shorten(text)!r}. {error}")
    options, wrong_options = read_options(get_architecture(settings.get("arch", RunConfig().arch)), address)
    return settings, options, (*problems, *wrong_options)


def read_options(arch: Architecture, address: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the options of a network in an address, and a message for each that was ignored."""
    options: dict[str, Any] = {}
    problems: list[str] = []
    known = {option.name: option for option in arch.options}
    for name, text in address.items():
        if not is_option(name):
            continue
        option = known.get(name.removeprefix(_OPTION))
        if option is None:
            problems.append(unknown(name, [_OPTION + each for each in known]))
            continue
        try:
            options[option.name] = _typed(option.kind, text)
        except ValueError as error:
            problems.append(wrong(name, text, str(error)))
    return options, tuple(problems)


def _typed(kind: type, text: str) -> Any:
    """Return a text as a value of a kind. Raises `ValueError` with the rule."""
    if kind is bool:
        return switch(text)
    if kind is list:
        parts = split(text)
        if not all(re.fullmatch(r"[0-9]{1,9}", part) for part in parts):
            raise ValueError("whole numbers with points between them")
        return [int(part) for part in parts]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ValueError("a whole number" if kind is int else "a number") from None
    return text
