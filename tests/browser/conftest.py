"""A real server for the browser tests; the Chromium comes from `tests/conftest.py`.

Each server has a free port and a home of its own with no data but the built-in digits. A wait ends as soon as its state is
there; where the page shows a traceback, or its server has ended, it fails at once instead of after its whole limit.
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
PATIENCE_S = 300.0  # for any state to come about: the limit of a wait for a state, which ends as soon as it is there
expect.set_options(timeout=PATIENCE_S * 1000)
PAD = "[data-pad]"  # the drawing surface
_SIZE: ViewportSize = {"width": 1440, "height": 900}
_QUIET = 8  # looks, 50 ms apart, at which nothing has changed: a page sends what a click asks for a moment later
_PAUSE = 3  # looks of the pause in which a click cannot be lost; pages that refresh themselves have no long ones
# Streamlit asks for these beside a deep link before it knows its own root.
_HARMLESS = ("/_stcore/health", "/_stcore/host-config")
# Marks a page whose server has not answered its last message: until it does, Streamlit shows the state before it.
_ASKED = """window.WebSocket = class extends WebSocket {
  constructor(...words) {
    super(...words);
    const answered = () => delete document.documentElement.dataset.unanswered;
    this.addEventListener("message", answered);
    this.addEventListener("close", answered);
  }
  send(data) {
    document.documentElement.dataset.unanswered = "";
    super.send(data);
  }
};"""
# Reports what no test ever waits for: a traceback on the page.
_SHOWN = "The page shows a traceback: "
_WATCH = f"""new MutationObserver(() => {{
  const shown = document.querySelector('[data-testid="stException"]:not([data-reported])');
  if (shown) {{
    shown.dataset.reported = "1";
    console.error({_SHOWN!r} + shown.innerText);
  }}
}}).observe(document, {{ childList: true, subtree: true }});"""


@dataclass(frozen=True)
class Server:
    """A running lab; `vacancy`, while it is held, is the lock of a supervisor, so that the server starts none."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    vacancy: FileLock | None = None

    def stop(self) -> None:
        """End the server and the supervisor and worker it started."""
        self.process.terminate()
        self.process.wait(timeout=120)
        if self.vacancy is not None:
            self.vacancy.release()
        end_workers(self.home)


def start_server(
    home: Path, *options: str, environment: Mapping[str, str] | None = None, worker: bool = True
) -> Server:
    """Start `streamlit run app.py` on a free port with a home of its own, and wait until it answers.

    options: further words of the command. environment: variables beside the usual ones. worker: whether the lab may train;
    without, it opens sooner, and what is queued stays queued.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    variables |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1", **(environment or {})}
    home.mkdir(parents=True, exist_ok=True)
    vacancy = None
    if not worker:
        vacancy = FileLock(lock_path(Settings.from_env({"LAB_HOME": str(home)})))
        vacancy.acquire(timeout=0)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), *options],
            cwd=ROOT,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", home, process, vacancy)
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


@pytest.fixture(scope="session")
def still_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return one lab without a worker, for all tests that write their runs themselves."""
    running = start_server(tmp_path_factory.mktemp("still") / "home", worker=False)
    yield running
    running.stop()


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """Return a lab that nobody has visited yet."""
    running = start_server(tmp_path / "home")
    yield running
    running.stop()


def train_in(server: Server, **settings: Any) -> str:
    """Train two epochs of LeNet-5 on the built-in digits, or what `settings` say, in a server's lab; return the run's id.

    In this process, which has torch already; a command of its own would import it once more.
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
    """Wait until something holds; `what` says in the failure what did not come about."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"after {PATIENCE_S:g} s not yet: {what}"
        page.wait_for_timeout(50)


def becomes(page: Page, read: Callable[[], object], wanted: object) -> None:
    """Wait until what is read off a page equals `wanted`: charts and the address change after the words beside them."""
    deadline = time.monotonic() + PATIENCE_S
    while (seen := read()) != wanted and time.monotonic() < deadline:
        page.wait_for_timeout(50)
    assert seen == wanted


def settle(page: Page, *, looks: int = _QUIET) -> None:
    """Wait until no script runs, nor begins to while we look at the page, however long the server takes to begin."""
    quiet = 0

    def still() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if page.locator(READY).count() else 0
        return quiet > looks

    until(page, still, "a page whose script has ended")


def click(locator: Locator, *, position: Position | None = None) -> None:
    """Click where no script is redrawing the page: what is taken off it between press and release gets no click.

    position: where on the element, in pixels from its upper left corner; its middle where there is none.
    """
    locator.wait_for()
    if locator.page.get_by_test_id("stApp").count():  # else a page that Streamlit has no part in
        settle(locator.page, looks=_PAUSE)
    _scroll_to(locator)
    locator.click(position=position)


def _scroll_to(locator: Locator) -> None:
    """Turn the wheel where an element is out of sight that a browser cannot scroll to.

    A popover keeps beside its button: what loads late above that moves both, and the popover itself lies in nothing that scrolls.
    """
    locator.scroll_into_view_if_needed()
    box, window = locator.bounding_box(), locator.page.viewport_size
    if box and window and not 0 <= box["y"] + box["height"] / 2 <= window["height"]:
        locator.page.mouse.wheel(0, box["y"] + box["height"] / 2 - window["height"] / 2)


def press_key(locator: Locator, key: str) -> None:
    """Focus an element and press a key on it where no script is redrawing the page: a redraw may take the focus away."""
    locator.wait_for()
    settle(locator.page, looks=_PAUSE)
    locator.press(key)


def type_into(field: Locator, text: str) -> None:
    """Put a text into a field where no script is redrawing the page, and wait until the page has taken it."""
    field.wait_for()
    settle(field.page, looks=_PAUSE)
    field.fill(text)
    field.press("Enter")
    settle(field.page)


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


def draw_digit(page: Page, digit: str) -> None:
    """Draw a digit on the pad with the mouse, once it takes strokes."""
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
        click(self.page.get_by_role("button", name=name, exact=False).first)


def open_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a window of its own, whose every wait has the limit of those that end as soon as what they wait for is there."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE_S * 1000)
    return context


@pytest.fixture(scope="session")
def window(browser: Browser) -> Iterator[BrowserContext]:
    """Return the window of all tabs: they share its cache and process, so that Streamlit's scripts are compiled once."""
    context = open_context(browser, viewport=_SIZE, reduced_motion="reduce")
    first = context.new_page()  # stays open, and the process with it; to a browser all ports of a host are one site
    first.route("**/*", lambda route: route.fulfill(body="", content_type="text/html"))
    first.goto("http://127.0.0.1/")
    context.add_init_script(_ASKED)
    context.add_init_script(_WATCH)
    yield context
    context.close()


def _forget(context: BrowserContext, page: Page) -> None:
    """Take what a test left in the browser out of it: cookies, permissions, and what its pages stored."""
    context.clear_cookies()
    context.clear_permissions()
    session = context.new_cdp_session(page)
    for origin in {urlsplit(frame.url)._replace(path="", query="", fragment="").geturl() for frame in page.frames}:
        if origin.startswith("http"):
            session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": "local_storage,indexeddb"})
    session.detach()


@pytest.fixture
def visitor(window: BrowserContext) -> Iterator[Visitor]:
    """Return a fresh tab; an error in its console that is not known to be harmless fails the test.

    A traceback on the page, or the end of its server, closes the tab, which ends whatever the test waits for.
    """
    page = window.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        place = message.location.get("url", "")
        if message.type == "error" and not place.endswith(_HARMLESS):
            complaints.append(f"{message.text} ({place})")
        if message.text.startswith(_SHOWN):
            page.close()

    def check_server(connection: WebSocket) -> None:
        place = urlsplit(connection.url)
        try:
            socket.create_connection((place.hostname, place.port), timeout=60).close()
        except OSError as error:
            complaints.append(f"{place.netloc} has ended: {error}")
            page.close()

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("websocket", lambda connection: connection.on("close", check_server))
    yield Visitor(page, complaints)
    if not page.is_closed():
        _forget(window, page)
        page.close()
    assert complaints == []
