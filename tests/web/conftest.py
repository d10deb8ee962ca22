"""A separate lab for each test of the pages: a temporary home with only the built-in digits, and a way to add runs."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from lab.service.workers import Workers
from pages.cache.lab import get_lab
from pages.components import base
from pages.server import routes
from pages.server.points import PointCache
from tests.processes import end_workers
from tests.web.shown_components import Shown
from tests.web.web_data import Bench, use_home


@pytest.fixture(scope="session", autouse=True)
def wait_for_torch_import() -> Iterator[None]:
    """Wait for a background import of torch before the interpreter exits."""
    yield
    for thread in threading.enumerate():
        if thread.name == "import-torch":
            thread.join()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Return a lab in a temporary home, which the pages and the routes find through the environment."""
    use_home(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(routes, "_cache", PointCache())
    yield Bench(get_lab())
    end_workers(tmp_path / "home")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that gets an item whenever workers are requested; none is started."""
    requested: list[str] = []

    def ensure(_workers: Workers) -> bool:
        requested.append("worker")
        return False

    monkeypatch.setattr(Workers, "ensure", ensure)
    return requested


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """Return a recorder of the data that components receive from now on, without a browser."""
    found = Shown()
    monkeypatch.setattr(st.components.v2, "component", found.component)
    base.component.cache_clear()
    yield found
    base.component.cache_clear()
