"""What the Machines page remembers of a session: the number of slots that was asked for, until the lab has it."""

from dataclasses import dataclass

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class MachinesState:
    """slots: of this host, as its widget has it."""

    slots: int = 1


MACHINES = PageState(MachinesState, key="machines")
