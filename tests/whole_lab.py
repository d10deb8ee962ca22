"""The set-up of tests that need the lab's packages: of the store, of pages and in browsers (`tests/conftest.py`).

If Chromium cannot be started, the browser tests are skipped with the reason; with `CI` in the environment they fail
instead, so that CI cannot miss them.
"""

import os
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Error, Playwright, sync_playwright
from streamlit.components.v2 import manifest_scanner

from benchmarks.chromium import QUIET, find_chromium
from lab.runs import store
from tests import new_stores, shared_dialect

# How long an example takes says nothing about the code: the machine may be busy, or import a module.
hypothesis_settings.register_profile(
    "lab",
    hypothesis_settings.get_profile(hypothesis_settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.load_profile("lab")

# The migrations of a new store take longer than most tests that open one; processes that tests start run all of them.
store.migrate = new_stores.migrate
shared_dialect.share()

# Every new `AppTest` reads the metadata of all installed packages, which takes longer than most pages do.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)

_CHROMIUM_ARGS = [
    *QUIET,
    # All tabs of a window share one process while one of them is open: a new process would compile Streamlit's scripts.
    "--process-per-site",
    "--disable-site-isolation-trials",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a Chromium: that of the machine, or Playwright's."""
    with sync_playwright() as playwright:
        chromium = _launch(playwright)
        yield chromium
        chromium.close()


def _launch(playwright: Playwright) -> Browser:
    try:
        return playwright.chromium.launch(executable_path=find_chromium(shell_first=True), args=_CHROMIUM_ARGS)
    except Error as error:
        reason = f"Chromium could not be started ({str(error).splitlines()[0]}): install it, or set LAB_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
