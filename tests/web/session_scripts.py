"""Runs functions as Streamlit pages, to test what a session stores without a page of the lab."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from tests.web.addresses import set_address


def open_script(page: Callable[[], None], /, **query: str) -> AppTest:
    """Run a function as a Streamlit page with this query in its address; fail if it raises an exception."""
    app = AppTest.from_function(page)
    set_address(app, query)
    app.run()
    assert not app.exception, [each.value for each in app.exception]
    return app


def address_of(app: AppTest) -> dict[str, str]:
    """Return the query of the address, as the page has written it."""
    return {name: app.query_params[name] for name in app.query_params}


def first_text(app: AppTest) -> str:
    """Return the first text on the page."""
    return app.text[0].value
