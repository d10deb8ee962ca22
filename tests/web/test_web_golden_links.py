"""Every link of an earlier release still opens its view. A browser test opens one link to each page."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from lab.service.workers import Workers
from tests.golden.opening import RELEASES, list_links, unpack_home
from tests.web.addresses import open_page

LINKS = [(release, *link) for release in RELEASES for link in list_links(release)]


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a home with the store of each release; opening a link only reads it."""
    return {release: unpack_home(release, tmp_path_factory.mktemp("golden") / release) for release in RELEASES}


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no workers, so that queued runs of the store stay queued."""
    monkeypatch.setattr(Workers, "ensure", lambda _workers: False)


def _texts(app: AppTest) -> str:
    return " ".join(str(node.proto) for node in app.main if node.proto is not None)


@pytest.mark.usefixtures("bench", "no_workers")
@pytest.mark.parametrize(("release", "address", "shows"), LINKS, ids=[address for _, address, _ in LINKS])
def test_a_link_of_a_release_opens_its_view(
    homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch, release: str, address: str, shows: str
) -> None:
    monkeypatch.setenv("LAB_HOME", str(homes[release]))
    parts = urlsplit(address)
    app = open_page(parts.path.strip("/") or "home", **dict(parse_qsl(parts.query)))
    assert [error.value for error in app.error] == []
    shown = _texts(app)
    assert shows in shown
    assert "The address" not in shown
