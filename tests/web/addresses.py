"""Opening a page of the app in `AppTest` by its name, as its address does."""

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from pages.registry import list_pages


def go_to(app: AppTest, page: str) -> AppTest:
    """Make `page` the one that the next run shows.

    `AppTest.switch_page` takes the address from the file's name before the first run, and all our pages are `page.py`.
    """
    assert page in [spec.name for spec in list_pages()]
    app._page_hash = calc_hash(page)
    return app
