"""Every page opens by its deep link together with the navigation, also as the first page of a new server."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from pages.registry import list_pages
from tests.browser.conftest import Server, Visitor, becomes, start_server

pytestmark = [pytest.mark.browser, pytest.mark.long]
_TITLES = {spec.name: spec.title for spec in list_pages()}


@pytest.fixture
def cold_server(tmp_path: Path) -> Iterator[Server]:
    """A new lab without a worker, in which no page has been opened yet."""
    running = start_server(tmp_path / "home", worker=False)
    yield running
    running.stop()


def _check_frame(server: Server, visitor: Visitor, name: str) -> None:
    path = "" if name == "home" else name
    visitor.open(f"{server.url}/{path}")
    links = visitor.page.get_by_test_id("stSidebarNavLink")
    expect(links).to_have_count(len(_TITLES))
    open_page = visitor.page.locator('[data-testid="stSidebarNavLink"][aria-current="page"]')
    expect(open_page).to_have_text(re.compile(f"{re.escape(_TITLES[name])}$"))
    expect(visitor.page.get_by_role("heading", level=1).first).to_be_visible()
    expect(visitor.page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize("name", sorted(_TITLES))
def test_a_deep_link_opens_its_page_with_the_navigation(idle_server: Server, visitor: Visitor, name: str) -> None:
    _check_frame(idle_server, visitor, name)


# `tests/web/test_web_imports.py` covers the imports of every page; here only the page with most imports is opened cold.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "inside" else pytest.mark.slow) for name in sorted(_TITLES)]
)
def test_a_deep_link_on_a_new_server_opens_its_page_with_the_navigation(
    cold_server: Server, visitor: Visitor, name: str
) -> None:
    _check_frame(cold_server, visitor, name)


def test_a_deep_link_to_an_unknown_run_shows_one_sentence(idle_server: Server, visitor: Visitor) -> None:
    visitor.open(f"{idle_server.url}/train?run=nobody")
    expect(visitor.page.get_by_text("There is no run 'nobody'")).to_be_visible()
    expect(visitor.page.get_by_role("button", name="Train").first).to_be_visible()


def test_the_title_of_a_page_does_not_move_while_the_page_loads(server: Server, visitor: Visitor) -> None:
    visitor.page.add_init_script(
        """const tops = (window.tops = []);
        const look = () => {
          const title = document.querySelector("h1");
          const top = title && Math.round(title.getBoundingClientRect().y);
          if (title && tops.at(-1) !== top) tops.push(top);
          requestAnimationFrame(look);
        };
        requestAnimationFrame(look);"""
    )
    for page in ("", "runs", "architecture"):
        visitor.open(f"{server.url}/{page}")
        becomes(visitor.page, lambda: visitor.page.evaluate("window.tops.length"), 1)
