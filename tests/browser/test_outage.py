"""Pages report an outage of the store, also if they are opened during it, and recover by themselves afterwards."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lab.config import RunConfig
from tests.browser.conftest import Server, Visitor, start_server
from tests.postgres import PostgresServer, started_server
from tests.sharing.sharing_runs import open_lab

pytestmark = pytest.mark.long


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with started_server() as running:
        yield running


@pytest.fixture
def new_idle_server(tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path / "home", worker=False)
    yield running
    running.stop()


@pytest.fixture
def lab(postgres: PostgresServer, tmp_path: Path) -> Iterator[Server]:
    running = start_server(tmp_path / "home", environment={"LAB_DATABASE": postgres.url}, worker=False)
    yield running
    running.stop()


def test_a_page_opened_during_an_outage_is_drawn_once_the_store_responds(
    postgres: PostgresServer, lab: Server, visitor: Visitor
) -> None:
    postgres.stop()
    visitor.open(f"{lab.url}/runs")
    away = visitor.page.get_by_text("check that the database server is running")
    expect(away).to_have_count(1)
    postgres.start()
    expect(visitor.page.get_by_text("No runs yet.")).to_be_visible()
    expect(away).to_have_count(0)


def test_a_page_that_refreshes_itself_reports_a_locked_store_until_it_is_released(
    new_idle_server: Server, visitor: Visitor
) -> None:
    lab = open_lab(new_idle_server.home)
    lab.submissions.submit(lab.validation.resolve(RunConfig(dataset="digits")), name="waits")
    visitor.open(f"{new_idle_server.url}/runs")  # it checks every few seconds whether the run has started
    locked = visitor.page.get_by_text("The run store was held by another process")
    with closing(sqlite3.connect(new_idle_server.home / "lab.db", isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN EXCLUSIVE")
        expect(locked).to_be_visible()
    expect(locked).to_have_count(0)
