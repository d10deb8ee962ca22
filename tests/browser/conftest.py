"""A real server for the browser tests; the Chromium comes from `tests/conftest.py`.

Each server has a free port and a home of its own with no data but the built-in digits.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.processes import end_workers

ROOT = Path(__file__).resolve().parents[2]
READY = '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
START_S = 120.0
PATIENCE_S = 240.0  # for any state to come about: the limit of a wait for a state, which ends as soon as it is there
expect.set_options(timeout=PATIENCE_S * 1000)
_QUIET = 8  # looks, 50 ms apart, at which nothing has changed
# Streamlit asks for these beside a deep link before it knows its own root.
_HARMLESS = ("/_stcore/health", "/_stcore/host-config")


@dataclass(frozen=True)
class Server:
    """A running lab."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        """End the server and the supervisor and worker it started."""
        self.process.terminate()
        self.process.wait(timeout=60)
        end_workers(self.home)


def start_server(home: Path, *options: str, environment: Mapping[str, str] | None = None) -> Server:
    """Start `streamlit run app.py` on a free port with a home of its own, and wait until it answers.

    options: further words of the command. environment: variables beside the usual ones.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    variables |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **(environment or {})}
    home.mkdir(parents=True, exist_ok=True)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), *options],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", home, process)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return server
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    process.kill()
    raise RuntimeError("the server did not start:\n" + (home / "server.log").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one lab for all tests that do not need a fresh one."""
    running = start_server(tmp_path_factory.mktemp("lab") / "home")
    yield running
    running.stop()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """Return a lab that nobody has visited yet."""
    running = start_server(tmp_path / "home")
    yield running
    running.stop()


def until(page: Page, condition: Callable[[], object], what: str) -> None:
    """Wait until something holds; `what` says in the failure what did not come about."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE_S:g} s not yet: {what}"
        page.wait_for_timeout(50)


def settle(page: Page) -> None:
    """Wait until no script runs, nor begins to: what a click asks for reaches the server a moment later."""
    quiet = 0

    def still() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if page.locator(READY).count() else 0
        return quiet > _QUIET

    until(page, still, "a page whose script has ended")


def at_rest(locator: Locator) -> dict[str, float]:
    """Wait until an element is no longer moved by what comes beside it, and return its place."""
    seen: list[object] = []

    def rests() -> bool:
        seen.append(locator.bounding_box())
        return len(seen) > _QUIET and seen[-1] is not None and all(box == seen[-1] for box in seen[-_QUIET:])

    until(locator.page, rests, "an element that stays where it is")
    box = locator.bounding_box()
    assert box is not None
    return dict(box)


@dataclass
class Visitor:
    """One tab, which remembers what its console complained about."""

    page: Page
    complaints: list[str]

    def open(self, url: str) -> None:
        """Go to an address and wait until Streamlit has drawn it."""
        self.page.goto(url)
        self.settle()

    def settle(self) -> None:
        """Wait until no script runs, nor begins to."""
        settle(self.page)

    def press(self, name: str) -> None:
        """Press a button by its words."""
        self.page.get_by_role("button", name=name, exact=False).first.click()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Return a fresh tab; an error in its console that is not known to be harmless fails the test."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_S * 1000)
    page = context.new_page()
    complaints: list[str] = []
    page.on(
        "console",
        lambda message: (
            complaints.append(f"{message.text} ({message.location.get('url', '')})")
            if message.type == "error" and not message.location.get("url", "").endswith(_HARMLESS)
            else None
        ),
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield Visitor(page, complaints)
    context.close()
    assert complaints == []
