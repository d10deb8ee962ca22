"""What Home remembers of a session: the sample digit that was asked for; the drawing itself is Draw's (`draw_page`)."""

from dataclasses import dataclass

from pages.state.page_state import PageState


@dataclass(frozen=True, slots=True)
class HomeState:
    """sample: the digit that shall be drawn on the pad, None once it is."""

    sample: str | None = None


HOME = PageState(HomeState, key="home")
