"""A page that was opened while the store was away says so, and comes by itself once the store answers."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, start_server
from tests.postgres import PostgresServer, started_server

pytestmark = pytest.mark.long


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with started_server() as running:
        yield running


@pytest.fixture
def lab(postgres: PostgresServer, tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path / "home", environment={"LAB_DATABASE": postgres.url}, worker=False)
    yield running
    running.stop()


def test_a_page_opened_during_an_outage_is_drawn_once_the_store_answers(
    postgres: PostgresServer, lab: Server, visitor: Visitor
) -> None:
    postgres.stop()
    visitor.open(f"{lab.url}/runs")
    away = visitor.page.get_by_text("check that the database server is running")
    expect(away).to_have_count(1)
    postgres.start()
    expect(visitor.page.get_by_text("No runs yet.")).to_be_visible()
    expect(away).to_have_count(0)
