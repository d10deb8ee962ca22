"""Who asks for runs in this session, and with which priority they wait; the name also stands in the address of the Train form."""

from dataclasses import dataclass

from lab.errors import TextError
from lab.runs.edits import checked_owner
from pages.state.codec import param
from pages.state.page_state import PageState


def _owner(text: str) -> str:
    try:
        return checked_owner(text)
    except TextError as error:
        raise ValueError(f"a name. {str(error).removesuffix('.')}") from error


@dataclass(frozen=True, slots=True)
class AskingState:
    """owner: "" for the one that the lab was started with. priority: of the runs that the Train and the Sweeps form ask for."""

    owner: str = param("", _owner)
    priority: int = 0


ASKING = PageState(AskingState, key="asking")


def asking_owner() -> str | None:
    """Return who asks for runs, None for the one that the lab was started with."""
    return ASKING.read().owner.strip() or None
