"""Opening a page of the app in `AppTest` by its name, as its address does."""

from dataclasses import replace
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.registry import list_pages
from pages.state.page_state import PageState


def set_state(app: AppTest, page: PageState[Any], **changes: Any) -> None:
    """Change fields of a page's record for the next run, as a click on a component does."""
    held = app.session_state[page.state_key] if page.state_key in app.session_state else page.record()
    app.session_state[page.state_key] = replace(held, **changes)


def go_to(app: AppTest, page: str) -> AppTest:
    """Make `page` the one that the next run shows.

    `AppTest.switch_page` takes the address from the file's name before the first run, and all our pages are `page.py`.
    """
    assert page in [spec.name for spec in list_pages()]
    app._page_hash = calc_hash(page)
    return app
