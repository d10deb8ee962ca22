"""The state of the Train page: the values of its form, and what it remembers in addition.

The form's values are stored one by one under the names of the settings, not as a `RunConfig`, because they may not be a
valid configuration yet. Their widgets survive a page switch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from lab.architectures.registry import get_architecture
from lab.config import FIELDS, RunConfig
from lab.executors.base import LOCAL
from pages.state.address import address, clear_address, complain, refuse_parameters, went_back, write_address
from pages.state.asking import AskingState
from pages.state.codec import param, params_of
from pages.state.form_address import is_setting, read_settings, write_settings
from pages.state.linked import show_parts
from pages.state.options import option_text, parse_numbers
from pages.state.page_state import PageState
from pages.state.session import put, value_of


@dataclass(frozen=True, slots=True)
class TrainState:
    """What the page remembers. run: the one in the address. ready: whether the form was filled in. preset: its source.

    opened: blocks of the network's picture that are expanded. baseline: in the address, the run whose curves are drawn behind; here, the run from which the form was filled, which
    becomes the baseline of the next one. browse: the form field whose gallery is open. cached: the existing run that
    the last request returned. whole_queue: whether the whole queue is shown. name, tags, note: last inputs by run id.
    fork: inputs of a fork's settings, by run and setting. executor: where the next run is trained. link: the form's
    settings as last read from or written to the address. problems: messages on its parts that were ignored. understood:
    the address of the other parts.
    """

    run: str = param("", str)
    baseline: str = param("", str)
    ready: bool = False
    preset: str | None = None
    browse: str = ""
    opened: tuple[str, ...] = ()
    cached: str = ""
    whole_queue: bool = False
    link: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    understood: Mapping[str, str] | None = None
    name: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    note: Mapping[str, str] = field(default_factory=dict)
    fork: Mapping[str, Any] = field(default_factory=dict)
    executor: str = LOCAL


TRAIN = PageState(TrainState, key="train")
_OWNER = params_of(AskingState)["owner"].name


def form_widget(name: str) -> dict[str, Any]:
    """Return the key arguments of a setting's widget. Without a value, it shows the setting's default."""
    key = _field_key(name)
    put(key, value_of(key, FIELDS[name].default))
    return {"key": key, "persist_state": "session"}


def option_widget(arch: str, option: str, *, default: Any) -> dict[str, Any]:
    """Return the key arguments of the widget for a network's option; initially, it shows `default`."""
    key = _option_key(arch, option)
    put(key, value_of(key, default))
    return {"key": key, "persist_state": "session"}


def _field_key(name: str) -> str:
    return f"train.{name}"


def _option_key(arch: str, option: str) -> str:
    return f"train.option.{arch}.{option}"


def fill_form(config: RunConfig, *, preset: str | None = None, baseline: str = "") -> None:
    """Fill the form with a configuration. Call it before the form's widgets are created, or in a callback.

    preset: its source. baseline: the run behind the one that is started next.
    """
    apply_changes({name: getattr(config, name) for name in FIELDS if name != "arch_options"})
    arch = get_architecture(config.arch)
    for option in arch.options:
        value = config.arch_options.get(option.name, option.default)
        put(_option_key(arch.id, option.name), option_text(option, value))
    TRAIN.change(preset=preset, baseline=baseline, ready=True)


def refuse_unknown_settings() -> None:
    """Show an error for each parameter in the address that is neither run, owner nor a setting of the form."""
    refuse_parameters(["run", _OWNER, *_link()])


def take_link(fresh: RunConfig) -> None:
    """Fill the form from the address if that is new. Call it before the form is drawn."""
    link = _link()
    if not link and TRAIN.read().link and went_back():
        fill_form(fresh)
    if link and link != TRAIN.read().link:
        settings, options, problems = read_settings(link)
        fill_form(RunConfig())
        apply_changes({"dataset": fresh.dataset} | settings)
        arch = get_architecture(str(form_value("arch")))
        for name, value in options.items():
            put(_option_key(arch.id, name), option_text(arch.option(name), value))
        TRAIN.change(link=link, problems=problems, understood=None)


def show_link(config: RunConfig, fresh: RunConfig) -> None:
    """Write the form's settings to the address; an invalid value stays there until a setting is changed."""
    others = {name: text for name, text in address().items() if name == _OWNER}
    show_parts(TRAIN, write_settings(config, fresh=fresh), shown=_link(), others=others)


def complain_of_link() -> None:
    """Show which parts of the address were ignored. Call it after `show_link`, which clears them after a change."""
    for problem in TRAIN.read().problems:
        complain(problem)


def _link() -> dict[str, str]:
    return {name: text for name, text in address().items() if is_setting(name)}


def set_field(name: str, value: Any) -> None:
    """Change one setting of the form, in a callback."""
    put(_field_key(name), value)


def apply_changes(changes: Mapping[str, Any]) -> None:
    """Change some settings of the form, in a callback."""
    for name, value in changes.items():
        set_field(name, value)


def form_value(name: str) -> Any:
    """Return the current value of a setting in the form, unchecked, or its default if it is not set."""
    return value_of(_field_key(name), FIELDS[name].default)


def form_values() -> dict[str, Any]:
    """Return the current values of the form's settings, unchecked, with defaults for those that are not set."""
    values = {name: form_value(name) for name in FIELDS if name != "arch_options"}
    return values | {"arch_options": _option_values(str(values["arch"]))}


def _option_values(arch_id: str) -> dict[str, Any]:
    values = {}
    for option in get_architecture(arch_id).options:
        value = value_of(_option_key(arch_id, option.name), option.default)
        values[option.name] = parse_numbers(value) if option.kind is list and isinstance(value, str) else value
    return values


def baseline_widget(key: str, shown: str) -> dict[str, Any]:
    """Return the key arguments of the choice of a baseline, which a change writes to the address. shown: its id or ""."""
    put(key, shown)
    return {"key": key, "on_change": lambda: _show_baseline(str(value_of(key) or ""))}


def _show_baseline(run: str) -> None:
    name = params_of(TrainState)["baseline"].name
    rest = {each: text for each, text in address().items() if each != name}
    write_address(rest | {name: run} if run else rest)


def leave_run() -> None:
    """Return to the form."""
    clear_address()
    st.rerun()
