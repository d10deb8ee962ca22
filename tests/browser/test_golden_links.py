"""Links of earlier releases still open their views."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, becomes, start_server
from tests.golden.opening import RELEASES, list_links, unpack_home

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def golden(release: str, tmp_path: Path) -> Iterator[Server]:
    """A lab on the release's store, without a worker, so that its queued run stays queued."""
    running = start_server(unpack_home(release, tmp_path / "home"), worker=False)
    yield running
    running.stop()


@pytest.mark.parametrize("release", RELEASES)
def test_a_link_of_an_earlier_release_to_each_page_opens_its_view(
    release: str, golden: Server, visitor: Visitor
) -> None:
    """Without a browser, `tests/web/test_web_golden_links.py` opens every link."""
    last_of_each_page = {urlsplit(address).path: (address, shows) for address, shows in list_links(release)}
    for address, shows in last_of_each_page.values():
        visitor.open(golden.url + address)
        main = visitor.page.get_by_test_id("stMain")
        shown = main.get_by_text(shows, exact=False).or_(visitor.page.get_by_alt_text(shows))
        expect(shown.first, f"{address} shows {shows!r}").to_be_attached()
        errors = main.get_by_test_id("stAlertContentError")
        becomes(visitor.page, errors.all_inner_texts, [])  # the failure message quotes the error
        expect(main.get_by_text("The address", exact=False), address).to_have_count(0)
