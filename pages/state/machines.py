"""The state of the Machines page: the requested number of slots, until the lab has stored it."""

from dataclasses import dataclass

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class MachinesState:
    """slots: number of slots of this host in the widget."""

    slots: int = 1


MACHINES = PageState(MachinesState, key="machines")
