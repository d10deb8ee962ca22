"""What every test runs under: the environment of a worker, and one Chromium for all that need a browser.

Where no Chromium can be started those tests are skipped and say why; with `CI` in the environment they fail instead, so
that a gate cannot pass them over.
"""

import gc
import os
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Error, Playwright, sync_playwright
from streamlit.components.v2 import manifest_scanner

from benchmarks.chromium import find_chromium
from lab.runs import store
from lab.settings import PROCESS_ENVIRONMENT
from tests import new_stores, shared_dialect

os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before anything imports torch

# A process collects all tests and a lab, a million objects, and would look through them all every few seconds.
gc.set_threshold(20_000, 10, 10)

# How long an example takes says nothing about the code: the machine is busy, or imports a module for the first time.
hypothesis_settings.register_profile(
    "lab",
    hypothesis_settings.get_profile(hypothesis_settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("lab")

# The migrations of a new store take longer than most tests that open one; processes that tests start go through all of them.
store.migrate = new_stores.migrate
shared_dialect.share()

# Every new `AppTest` reads the metadata of all installed packages, which takes longer than most pages do.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

_CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # All tabs of a window share one process while one of them is open: each fresh one compiled Streamlit's scripts anew.
    "--process-per-site",
    "--disable-site-isolation-trials",
]


# The longest files by processor time, the longest first, those with browsers after the others; a process takes whole files, one after
# the other.
_LONGEST = (
    "worker/test_fork.py",
    "sweeps/test_sweep_runs.py",
    "tests/test_add_a_hyperparameter.py",
    "tests/test_add_a_network.py",
    "golden/test_golden.py",
    "worker/test_stored_findings.py",
    "web/test_web_runs.py",
    "sketch/test_photo.py",
    "worker/test_worker.py",
    "browser/test_draw.py",
    "browser/test_train.py",
    "browser/test_first_minute.py",
    "browser/test_golden_links.py",
    "browser/test_parts.py",
    "browser/test_accessibility.py",
    "browser/test_inside.py",
    "browser/test_walks.py",
    "browser/test_runs.py",
    "browser/test_deep_links.py",
    "browser/test_addresses.py",
    "browser/test_verdict.py",
    "browser/test_sweeps.py",
    "browser/test_fork.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser tests last: once Playwright runs, its event loop stays, and `asyncio.run` refuses to work.

    The long files come first, so that at the end no process has a long one to itself while the others are idle.
    """

    def place(item: pytest.Item) -> tuple[bool, int]:
        name = f"{item.path.parent.name}/{item.path.name}"
        return item.get_closest_marker("browser") is not None, (*_LONGEST, name).index(name)

    items.sort(key=place)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a Chromium: the machine's own, else Playwright's."""
    with sync_playwright() as playwright:
        chromium = _launch(playwright)
        yield chromium
        chromium.close()


def _launch(playwright: Playwright) -> Browser:
    try:
        return playwright.chromium.launch(executable_path=find_chromium(shell_first=True), args=_CHROMIUM_ARGS)
    except Error as error:
        reason = f"no Chromium could be started ({str(error).splitlines()[0]}): install one, or set LAB_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
