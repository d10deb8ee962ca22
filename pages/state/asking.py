"""Owner and priority of new runs in this session; the owner is also part of the Train form's address."""

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
    """owner: "" for the one that the lab was started with. priority: of new runs of the Train and Sweeps forms."""

    owner: str = param("", _owner)
    priority: int = 0


ASKING = PageState(AskingState, key="asking")


def asking_owner() -> str | None:
    """Return the owner of new runs, None for the one that the lab was started with."""
    return ASKING.read().owner.strip() or None
