"""The parts of an address that a page reads and writes together, such as a form's settings."""

from collections.abc import Mapping
from typing import Any

from pages.state.address import write_address
from pages.state.page_state import PageState


def show_parts(
    state: PageState[Any], parts: Mapping[str, str], *, shown: Mapping[str, str], others: Mapping[str, str]
) -> None:
    """Write some parts to the address if it has others. While ignored parts are reported, it stays until a choice changes.

    state: its record has `link` (the parts as last read or written), `problems` (messages on ignored parts) and
    `understood` (the parts without those, None before they were first written). shown: the parts that the address has.
    others: what else it has after a change.
    """
    page = state.read()
    if page.problems and page.understood in (None, parts):
        state.change(understood=parts)
        return
    if parts != shown:
        write_address({**parts, **others})
    state.change(link=parts, problems=(), understood=None)
