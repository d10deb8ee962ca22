"""Links that people kept from earlier releases open the view that they opened then."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visitor, start_server
from tests.golden.opening import RELEASES, read, unpack_home

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("release", RELEASES)
def test_every_link_of_a_release_opens_its_view(
    release: str, browser: Browser, visitor: Visitor, tmp_path: Path
) -> None:
    server = start_server(unpack_home(release, tmp_path / "home"))
    try:
        for link in read(release, "links.json"):
            visitor.open(server.url + link["address"])
            main = visitor.page.get_by_test_id("stMain")
            shown = main.get_by_text(link["shows"], exact=False).or_(visitor.page.get_by_alt_text(link["shows"]))
            expect(shown.first, f"{link['address']} shows {link['shows']!r}").to_be_attached(timeout=30_000)
            expect(main.get_by_test_id("stAlertContentError"), link["address"]).to_have_count(0)
            expect(main.get_by_text("The address", exact=False), link["address"]).to_have_count(0)
    finally:
        server.stop()
