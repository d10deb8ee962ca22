"""The set-up of all tests: the environment of a worker, and `tests/whole_lab.py` if the lab's packages are installed.

A machine with a GPU may have torch and pytest but none of the lab's other packages: tests that need a GPU run there.
"""

import gc
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from lab.settings import PROCESS_ENVIRONMENT

os.environ.update({**PROCESS_ENVIRONMENT, **os.environ})  # before anything imports torch

# The tests that need a GPU; they need neither the web packages nor the store.
_NEED_A_GPU = Path(__file__).parent / "training" / "test_training_gpu.py"
WHOLE_LAB = find_spec("streamlit") is not None
if WHOLE_LAB:
    from tests.whole_lab import browser as browser

# A test process holds a million objects (all tests and a lab), which the collector would traverse every few seconds.
gc.set_threshold(20_000, 10, 10)


# The longest files by processor time, longest first, those with browsers after the others. Each process runs whole
# files, one after the other.
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
    """Ignore what cannot be imported if the lab's packages are not installed."""
    return None if WHOLE_LAB or collection_path in (_NEED_A_GPU, *_NEED_A_GPU.parents) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the browser tests last: once Playwright has started, its event loop keeps running and `asyncio.run` fails.

    The long files come first, so that at the end no process works on a long one while the others are idle.
    """

    def position(item: pytest.Item) -> tuple[bool, int]:
        name = f"{item.path.parent.name}/{item.path.name}"
        return item.get_closest_marker("browser") is not None, (*_LONGEST, name).index(name)

    items.sort(key=position)
