"""The parts of an address that a page reads and writes together, such as a form's settings."""

from collections.abc import Mapping
from typing import Any

from pages.state.address import address, write_address
from pages.state.page_state import PageState


def show_parts(state: PageState[Any], parts: Mapping[str, str], others: Mapping[str, str]) -> None:
    """Replace the address by some parts and others. While ignored parts are reported, it stays until a choice changes.

    state: its record has `link` (the parts as last read or written), `problems` (messages on ignored parts) and
    `understood` (the parts without those, None before they were first written).
    """
    page = state.read()
    if page.problems and page.understood in (None, parts):
        state.change(understood=parts)
        return
    if address() != {**parts, **others}:
        write_address({**parts, **others})
    state.change(link=parts, problems=(), understood=None)
