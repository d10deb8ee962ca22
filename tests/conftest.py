"""What every test runs under: the environment of a worker, and where the lab is installed what `tests/whole_lab.py` has besides.

A machine with a GPU may have torch and pytest, but none of the lab's other packages: what needs a GPU can be tested there.
"""

import gc
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.settings import PROCESS_ENVIRONMENT

os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before anything imports torch

_NEED_A_GPU = Path(__file__).parent / "training" / "test_training_gpu.py"  # and nothing of the web or of the store
WHOLE_LAB = find_spec("streamlit") is not None
if WHOLE_LAB:
    from tests.whole_lab import browser as browser

# A process collects all tests and a lab, a million objects, and would look through them all every few seconds.
gc.set_threshold(20_000, 10, 10)


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


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Pass over what could not be imported where the lab's packages are not installed."""
    return None if WHOLE_LAB or collection_path in (_NEED_A_GPU, *_NEED_A_GPU.parents) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser tests last: once Playwright runs, its event loop stays, and `asyncio.run` refuses to work.

    The long files come first, so that at the end no process has a long one to itself while the others are idle.
    """

    def place(item: pytest.Item) -> tuple[bool, int]:
        name = f"{item.path.parent.name}/{item.path.name}"
        return item.get_closest_marker("browser") is not None, (*_LONGEST, name).index(name)

    items.sort(key=place)
