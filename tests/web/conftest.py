"""A private lab for the pages: its own home, no data sets but the built-in digits, and a way to put runs into it."""

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
def torch_settled() -> Iterator[None]:
    """Let a background import of torch end before the interpreter does."""
    yield
    for thread in threading.enumerate():
        if thread.name == "import-torch":
            thread.join()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Return a lab in a temporary home that the pages and the routes find through the environment."""
    use_home(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(routes, "_cache", PointCache())
    yield Bench(get_lab())
    end_workers(tmp_path / "home")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list with an item for each time that workers were asked for; none is started."""
    asked_for: list[str] = []

    def ensure(_workers: Workers) -> bool:
        asked_for.append("worker")
        return False

    monkeypatch.setattr(Workers, "ensure", ensure)
    return asked_for


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shown]:
    """Return what components are given to show from here on; none reaches a browser."""
    found = Shown()
    monkeypatch.setattr(st.components.v2, "component", found.component)
    base.component.cache_clear()
    yield found
    base.component.cache_clear()
