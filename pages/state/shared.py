"""The state of dialogs and panels that several pages show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class Question:
    """A long training that awaits confirmation: its button, the number of runs, and its duration in seconds."""

    place: str
    runs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ConfirmState:
    """The question that is open, if any."""

    open: Question | None = None


@dataclass(frozen=True, slots=True)
class WaitingState:
    """The keys of long computations that the user has accepted."""

    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ShareState:
    """format, several: format for one run and for several. upload: number of the uploader, new after each import.

    which: whether the chosen runs are exported, or all that were found.
    """

    which: str = "chosen"
    format: str | None = None
    several: str | None = None
    upload: int = 0


@dataclass(frozen=True, slots=True)
class RepeatState:
    """kind: seeds or folds. seeds, folds: the requested number of each. All by the place of the form."""

    kind: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    folds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SliderState:
    """The last state of each run's epoch slider: number of epochs, what it reported, and the resulting index."""

    seen: Mapping[str, tuple[int, int | None, int]] = field(default_factory=dict)


SLIDER = PageState(SliderState, key="slider")
CONFIRM = PageState(ConfirmState, key="confirm")
WAITING = PageState(WaitingState, key="waiting")
SHARE = PageState(ShareState, key="share")
REPEAT = PageState(RepeatState, key="repeat")
