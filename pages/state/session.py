"""The one door to session state: names, types and defaults of everything a session remembers.

Form values live under `train.<setting>` so that they survive a page switch (their widgets are made with
`persist_state="session"`); everything in here can be pickled. Nothing else in `pages/` touches `st.session_state`.
"""

import re
from collections.abc import Mapping
from typing import Any

import streamlit as st

from lab.architectures.registry import get_architecture
from lab.config import FIELDS, RunConfig

_FORM = "train."
_OPTION = "train.option."
_READY = "train.ready"
_FLASH = "flash"
_CACHED = "train.cached"
PRESET_KEY = "train.preset"
_WHOLE = re.compile(r"-?[0-9]{1,15}")  # str.isdigit also takes "²", which int() refuses


def field_key(name: str) -> str:
    """Return the widget key of one setting of the Train form."""
    return _FORM + name


def option_key(arch: str, option: str) -> str:
    """Return the widget key of one option of one network."""
    return f"{_OPTION}{arch}.{option}"


def form_ready() -> bool:
    """Whether this session's form has been filled."""
    return bool(st.session_state.get(_READY))


def fill_form(config: RunConfig, *, preset: str | None = None) -> None:
    """Put a configuration into the form; call it before the form's widgets are made, or in a callback."""
    for name in FIELDS:
        if name != "arch_options":
            st.session_state[field_key(name)] = getattr(config, name)
    arch = get_architecture(config.arch)
    for option in arch.options:
        st.session_state[option_key(arch.id, option.name)] = option_text(
            config.arch_options.get(option.name, option.default)
        )
    st.session_state[PRESET_KEY] = preset
    st.session_state[_READY] = True


def option_text(value: Any) -> Any:
    """Return an option's value as its widget holds it: a list is text."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def chosen_preset() -> str | None:
    """Return the id of the preset the form was filled from, if any."""
    chosen = st.session_state.get(PRESET_KEY)
    return None if chosen is None else str(chosen)


def set_field(name: str, value: Any) -> None:
    """Change one setting of the form, in a callback."""
    st.session_state[field_key(name)] = value


def apply_changes(changes: Mapping[str, Any]) -> None:
    """Change some settings of the form, in a callback."""
    for name, value in changes.items():
        set_field(name, value)


def form_values() -> dict[str, Any]:
    """Return the form's settings as they stand, unchecked; unset ones have their default."""
    values = {
        name: st.session_state.get(field_key(name), spec.default)
        for name, spec in FIELDS.items()
        if name != "arch_options"
    }
    return values | {"arch_options": _option_values(str(values["arch"]))}


def _option_values(arch_id: str) -> dict[str, Any]:
    values = {}
    for option in get_architecture(arch_id).options:
        value = st.session_state.get(option_key(arch_id, option.name), option.default)
        values[option.name] = parse_numbers(value) if option.kind is list and isinstance(value, str) else value
    return values


def parse_numbers(text: str) -> list[int] | str:
    """Return the whole numbers of "32, 64, 128"; text that is not a list of them comes back for the check to refuse."""
    parts = text.replace(",", " ").split()
    numbers = [number for part in parts if (number := whole_number(part)) is not None]
    return numbers if parts and len(numbers) == len(parts) else text


def whole_number(text: str) -> int | None:
    """Return the whole number that a text from outside is, None for any other text and for one of over 15 digits."""
    return int(text) if _WHOLE.fullmatch(text) else None


def flash(message: str) -> None:
    """Keep a sentence for the next run of a page."""
    st.session_state[_FLASH] = message


def take_flash() -> str:
    """Return the kept sentence once."""
    return str(st.session_state.pop(_FLASH, ""))


def remember_cached(run: str) -> None:
    """Remember that this run was there already when it was asked for; "" forgets."""
    st.session_state[_CACHED] = run


def cached_run() -> str:
    """Return the id of the run that was there already when it was asked for last."""
    return str(st.session_state.get(_CACHED, ""))


def value_of(key: str, default: Any = None) -> Any:
    """Return what a widget or component has under its key."""
    return st.session_state.get(key, default)


def put(key: str, value: object) -> None:
    """Give a widget a value, in a callback or before it is made."""
    st.session_state[key] = value


def forget(key: str) -> None:
    """Drop a value; a widget then starts from its default again."""
    st.session_state.pop(key, None)
