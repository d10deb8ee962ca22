"""Opens pages of the app in `AppTest` by name, as an address does."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.registry import list_pages
from pages.state.page_state import PageState

ENTRY = Path(__file__).resolve().parents[2] / "pages" / "entry.py"


def set_state(app: AppTest, page: PageState[Any], **changes: Any) -> None:
    """Change fields of a page's record for the next run, as a click on a component does."""
    held = app.session_state[page.state_key] if page.state_key in app.session_state else page.record()
    app.session_state[page.state_key] = replace(held, **changes)


def set_address(app: AppTest, query: Mapping[str, str]) -> None:
    """Replace the whole query of the address for the next run."""
    app.query_params.clear()
    for name, value in query.items():
        app.query_params[name] = value


def go_to(app: AppTest, page: str) -> AppTest:
    """Make the next run show `page`.

    `AppTest.switch_page` derives the address from the file name before the first run, and all our pages are `page.py`.
    """
    assert page in [spec.name for spec in list_pages()]
    app._page_hash = calc_hash(page)
    return app


def open_page(page: str = "home", /, **query: str) -> AppTest:
    """Open a page of the app with this query in its address, and return the app after a run without an exception."""
    app = AppTest.from_file(str(ENTRY), default_timeout=300)
    set_address(app, query)
    go_to(app, page).run()
    assert not app.exception, [each.value for each in app.exception]
    return app


def _draw(part: "Callable[[], object]") -> None:  # AppTest runs its source text, without the imports above
    part()


def draw_alone(
    part: Callable[[], object],
    *,
    state: Mapping[str, object] = MappingProxyType({}),
    address: Mapping[str, str] = MappingProxyType({}),
) -> AppTest:
    """Run a part of a page as a separate page, and return the app after a run without an exception.

    state: initial values of widgets and popovers, by key. address: the query.
    """
    app = AppTest.from_function(_draw, default_timeout=300, args=(part,))
    set_address(app, address)
    for key, value in state.items():
        app.session_state[key] = value
    app.run()
    assert not app.exception, [each.value for each in app.exception]
    return app


def labelled(elements: Iterable[Any], label: str) -> Any:
    """Return the only one of these elements that has this label."""
    (found,) = [each for each in elements if each.label == label]
    return found
