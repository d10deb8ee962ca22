"""The state of Home: the sample digit that was requested. The drawing belongs to Draw (`draw_page`)."""

from dataclasses import dataclass

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class HomeState:
    """sample: the digit to draw on the pad, None once it is drawn."""

    sample: str | None = None


HOME = PageState(HomeState, key="home")
