"""What is remembered of questions and panels that several pages show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class Question:
    """A long training that was asked for: which button, how many runs, and for how many seconds."""

    place: str
    runs: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ConfirmState:
    """The question that is open, if any."""

    open: Question | None = None


@dataclass(frozen=True, slots=True)
class WaitingState:
    """Which long computations were asked for all the same."""

    accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ShareState:
    """format: chosen for one run, and for several. upload: number of the uploader, a fresh one after each import."""

    format: str | None = None
    several: str | None = None
    upload: int = 0


@dataclass(frozen=True, slots=True)
class RepeatState:
    """kind: whether seeds or folds, and how many of each a setting shall have, by the place of the question."""

    kind: Mapping[str, str] = field(default_factory=dict)
    seeds: Mapping[str, int] = field(default_factory=dict)
    folds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SliderState:
    """Where the epoch slider of a run stood last: number of epochs, what it reported, and the index that followed."""

    seen: Mapping[str, tuple[int, int | None, int]] = field(default_factory=dict)


SLIDER = PageState(SliderState, key="slider")
CONFIRM = PageState(ConfirmState, key="confirm")
WAITING = PageState(WaitingState, key="waiting")
SHARE = PageState(ShareState, key="share")
REPEAT = PageState(RepeatState, key="repeat")
