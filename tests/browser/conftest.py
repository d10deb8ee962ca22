"""Real servers for the browser tests; the Chromium comes from `tests/conftest.py`.

Each server has a free port and its own home with no data but the built-in digits. A wait ends as soon as its condition
holds. It fails at once, before its time limit, if the page shows a traceback or its server has exited.
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
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Position,
    ViewportSize,
    WebSocket,
    expect,
)

from lab.runs.records import RunState
from lab.settings import Settings
from lab.sketch.render import POLYLINES, Hand, place_strokes
from lab.worker.supervisor.launch import lock_path
from tests.processes import end_workers
from tests.sharing.sharing_runs import open_lab, train_run

ROOT = Path(__file__).resolve().parents[2]
READY = (
    "html:not([data-unanswered]) "
    '[data-testid="stApp"][data-test-script-state="notRunning"][data-test-connection-state="CONNECTED"]'
)
START_S = 120.0
WAIT_LIMIT_S = 300.0  # time limit of every wait, which ends as soon as its condition holds
expect.set_options(timeout=WAIT_LIMIT_S * 1000)
PAD = "[data-pad]"  # the drawing surface
_SIZE: ViewportSize = {"width": 1440, "height": 900}
_QUIET_POLLS = 8  # polls, 50 ms apart, without a change: a page sends the request of a click a moment after it
_PAUSE_POLLS = 3  # polls of a pause in which no click is lost; pages that refresh themselves have no longer pauses
# Streamlit requests these next to a deep link before it knows its own root.
_HARMLESS = ("/_stcore/health", "/_stcore/host-config")
# Marks a page whose server has not answered its last message: until then, Streamlit shows the previous state.
_MARK_UNANSWERED = """window.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    const answered = () => delete document.documentElement.dataset.unanswered;
    this.addEventListener("message", answered);
    this.addEventListener("close", answered);
  }
  send(data) {
    document.documentElement.dataset.unanswered = "";
    super.send(data);
  }
};"""
# Reports a traceback on the page, which no test expects.
_TRACEBACK = "The page shows a traceback: "
_REPORT_TRACEBACKS = f"""new MutationObserver(() => {{
  const shown = document.querySelector('[data-testid="stException"]:not([data-reported])');
  if (shown) {{
    shown.dataset.reported = "1";
    console.error({_TRACEBACK!r} + shown.innerText);
  }}
}}).observe(document, {{ childList: true, subtree: true }});"""


@dataclass(frozen=True)
class Server:
    """A running lab.

    supervisor_lock: held by the test for a lab without a worker, so that the server starts no supervisor.
    """

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    supervisor_lock: FileLock | None = None

    def stop(self) -> None:
        """Stop the server and the supervisor and worker it started."""
        self.process.terminate()
        self.process.wait(timeout=120)
        if self.supervisor_lock is not None:
            self.supervisor_lock.release()
        end_workers(self.home)


def start_server(
    home: Path, *options: str, environment: Mapping[str, str] | None = None, worker: bool = True
) -> Server:
    """Start `streamlit run app.py` on a free port with the given home, and wait until it responds.

    options: further arguments of the command. environment: variables in addition to the usual ones. worker: whether the
    lab trains; without a worker, it opens sooner and queued runs stay queued.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    variables |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **(environment or {})}
    home.mkdir(parents=True, exist_ok=True)
    supervisor_lock = None
    if not worker:
        supervisor_lock = FileLock(lock_path(Settings.from_env({"LAB_HOME": str(home)})))
        supervisor_lock.acquire(timeout=0)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), *options],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", home, process, supervisor_lock)
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
    """One lab for all tests that do not need a new one."""
    running = start_server(tmp_path_factory.mktemp("lab") / "home")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def idle_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One lab without a worker, for all tests that write their runs themselves."""
    running = start_server(tmp_path_factory.mktemp("still") / "home", worker=False)
    yield running
    running.stop()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A new lab, in which no page has been opened yet."""
    running = start_server(tmp_path / "home")
    yield running
    running.stop()


def train_in(server: Server, **settings: Any) -> str:
    """Train LeNet-5 for two epochs on the digits, changed by `settings`, in a server's lab, and return the run's id.

    It trains in this process, which has already imported torch; a separate command would import it again.
    """
    import torch

    lab, threads = open_lab(server.home), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = train_run(lab, **{"train_limit": 0, "batch_size": 64, **settings})
    finally:
        torch.set_num_threads(threads)
        lab.store.close()
    assert run.state is RunState.FINISHED
    return run.id


def until(page: Page, condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds; `what` describes it in the failure message."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not reached within {WAIT_LIMIT_S:g} s: {what}"
        page.wait_for_timeout(50)


def becomes(page: Page, read: Callable[[], object], expected: object) -> None:
    """Wait until a value read off a page equals `expected`: charts and the address change later than nearby texts."""
    deadline = time.monotonic() + WAIT_LIMIT_S
    while (found := read()) != expected and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert found == expected


def settle(page: Page, *, polls: int = _QUIET_POLLS) -> None:
    """Wait until no script runs or starts for so many polls, however long the server takes to start one."""
    quiet = 0

    def still() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if page.locator(READY).count() else 0
        return quiet > polls

    until(page, still, "a page whose script has ended")


def click(locator: Locator, *, position: Position | None = None) -> None:
    """Click while no script is redrawing the page: an element that is removed between press and release gets no click.

    position: where on the element, in pixels from its upper left corner; by default its middle.
    """
    locator.wait_for()
    if locator.page.get_by_test_id("stApp").count():  # otherwise the page is not Streamlit's
        settle(locator.page, polls=_PAUSE_POLLS)
    _scroll_to(locator)
    locator.click(position=position)


def _scroll_to(locator: Locator) -> None:
    """Scroll to an element, with the mouse wheel if the browser cannot.

    A popover stays next to its button: content that loads late above the button moves both, and the popover itself is
    in no element that scrolls.
    """
    locator.scroll_into_view_if_needed()
    box, window = locator.bounding_box(), locator.page.viewport_size
    if box and window and not 0 <= box["y"] + box["height"] / 2 <= window["height"]:
        locator.page.mouse.wheel(0, box["y"] + box["height"] / 2 - window["height"] / 2)


def press_key(locator: Locator, key: str) -> None:
    """Focus an element and press a key on it while no script is redrawing the page, which may move the focus."""
    locator.wait_for()
    settle(locator.page, polls=_PAUSE_POLLS)
    locator.press(key)


def type_into(field: Locator, text: str) -> None:
    """Type a text into a field while no script is redrawing the page, and wait until the page has processed it."""
    field.wait_for()
    settle(field.page, polls=_PAUSE_POLLS)
    field.fill(text)
    field.press("Enter")
    settle(field.page)


def at_rest(locator: Locator) -> dict[str, float]:
    """Wait until other elements no longer move this one, and return its bounding box."""
    seen: list[object] = []

    def rests() -> bool:
        seen.append(locator.bounding_box())
        return (
            len(seen) > _QUIET_POLLS and seen[-1] is not None and all(box == seen[-1] for box in seen[-_QUIET_POLLS:])
        )

    until(locator.page, rests, "an element that no longer moves")
    box = locator.bounding_box()
    assert box is not None
    return dict(box)


def draw_digit(page: Page, digit: str) -> None:
    """Draw a digit on the pad with the mouse, as soon as it accepts strokes."""
    page.wait_for_selector(PAD)
    pad = page.locator(PAD)
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    assert box is not None
    for stroke in place_strokes(POLYLINES[digit], Hand()):
        points = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["width"] / 280) for x, y in stroke.points]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


@dataclass
class Visitor:
    """One tab, with the errors of its console."""

    page: Page
    errors: list[str]

    def open(self, url: str) -> None:
        """Go to an address and wait until Streamlit has drawn the page."""
        self.page.goto(url)
        self.settle()

    def settle(self) -> None:
        """Wait until no script runs or starts."""
        settle(self.page)

    def press(self, name: str) -> None:
        """Press the first button with this text."""
        click(self.page.get_by_role("button", name=name, exact=False).first)


def open_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a separate browser context, whose waits have the time limit `WAIT_LIMIT_S`."""
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_LIMIT_S * 1000)
    return context


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """The context of all tabs: they share its cache and process, so that Streamlit's scripts are compiled once."""
    context = open_context(browser, viewport=_SIZE, reduced_motion="reduce")
    first = context.new_page()  # stays open, and with it the process: all ports of a host are one site to a browser
    first.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
    first.goto("http://127.0.0.1/")
    context.add_init_script(_MARK_UNANSWERED)
    context.add_init_script(_REPORT_TRACEBACKS)
    yield context
    context.close()


def _forget(context: BrowserContext, page: Page) -> None:
    """Delete what a test left in the browser: cookies, permissions and stored data of its pages."""
    context.clear_cookies()
    context.clear_permissions()
    session = context.new_cdp_session(page)
    for origin in {urlsplit(frame.url)._replace(path="", query="", fragment="").geturl() for frame in page.frames}:
        if origin.startswith("http"):
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
    session.detach()


@pytest.fixture
def visitor(window: BrowserContext) -> Iterator[Visitor]:
    """A new tab; an error in its console that is not known to be harmless fails the test.

    If the page shows a traceback or its server exits, the tab is closed, which ends any wait of the test.
    """
    page = window.new_page()
    errors: list[str] = []

    def record(message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        if message.type == "error" and not url.endswith(_HARMLESS):
            errors.append(f"{message.text} ({url})")
        if message.text.startswith(_TRACEBACK):
            page.close()

    def check_server(connection: WebSocket) -> None:
        url = urlsplit(connection.url)
        try:
            socket.create_connection((url.hostname, url.port), timeout=60).close()
        except OSError as error:
            errors.append(f"{url.netloc} has exited: {error}")
            page.close()

    page.on("console", record)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("websocket", lambda connection: connection.on("close", check_server))
    yield Visitor(page, errors)
    if not page.is_closed():
        _forget(window, page)
        page.close()
    assert errors == []
