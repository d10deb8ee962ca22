"""The captured step on a CUDA runtime without a GPU: every line of the host's side, and the rules of stream capture.

Kernels compute nothing there, so what a network learns, and cuDNN, are for `tests/training/test_training_gpu.py`. A process each,
because the runtime is chosen when a process starts.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cuda_host import build, environment, missing

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(missing()), reason=missing())]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("cuda"))


def walk(what: str, library: Path) -> dict[str, dict[str, Any]]:
    """Return what was found, by name; "calls" counts those that CUDA forbids in a capture."""
    command = [sys.executable, "-m", "tests.cuda_host.walk", what]
    done = subprocess.run(command, cwd=ROOT, env=environment(library), capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {one.pop("what"): one for one in found}


def test_every_network_is_captured_with_algorithms_that_repeat(library: Path) -> None:
    found = walk("networks", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for what, one in found.items():
        said = "captured" if what.endswith("auto") else "launched, because this was requested"
        assert one == {"steps": said, "notices": [], "taken": 3}, what


def test_every_setting_is_captured(library: Path) -> None:
    found = walk("settings", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for what, one in found.items():
        assert (one["steps"], one["notices"]) == ("captured", []), what


def test_a_capture_that_fails_leaves_a_run_that_goes_on(library: Path) -> None:
    found = walk("failures", library)
    assert found.pop("calls")["invalidated"] == 1  # the other was known before its capture
    assert list(found) == ["ValueNet", "LateNet"]
    for one in found.values():
        assert one["steps"].startswith("launched, because it could not be captured (")
        assert one["taken"] == 12


def test_memory_is_shared_given_back_and_found_when_it_is_short(library: Path) -> None:
    found = walk("memory", library)
    assert len(set(found["runs"]["bytes"])) == 1
    assert len(set(found["evaluations"]["bytes"])) == 1
    assert found["evaluations"]["notices"] == []
    short = found["too little"]
    assert (short["steps"], short["taken"]) == ("captured", 4)
    assert short["notices"][-1] == "recorded-anew"
    assert found["calls"] == {"unsafe": 0, "invalidated": 0}


def test_a_run_on_the_second_device_leaves_the_first_alone_takes_its_states_over_and_a_worker_has_its_own(
    library: Path,
) -> None:
    found = walk("devices", library)
    assert found["second"] == {"steps": "captured", "notices": [], "taken": 18}
    assert found["current"] == {"device": 0, "bytes": 0}
    assert found["moved"] == {"as saved": [True] * 3}
    assert found["resumed"] == {"on the first": ["", ""], "on the second": [True, True]}
    assert found["warm"] == {"captures": 2, "streams": 1}
    assert found["worker"] == {"device": 1, "next": 0}
    assert found["calls"] == {"unsafe": 0, "invalidated": 0}


def test_a_step_is_ten_kernels_more_than_the_limit(library: Path) -> None:
    """Rate, batch, images, two to normalise, results in four, and the count: each takes a hundredth of a small network's step."""
    found = walk("kernels", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    assert found == {"float32": {"more": 10}, "bfloat16": {"more": 10}}


def test_algorithms_are_tried_for_whole_batches_only(library: Path) -> None:
    found = walk("algorithms", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for one in found.values():
        assert one == {
            "noted": [[False, 40, False], [False, 50, False], [True, 10, False], [True, 16, True]],
            "after": False,
        }


def test_runs_that_take_turns_have_streams_of_their_own_and_give_them_back(library: Path) -> None:
    """A lane each, and a stream for each graph."""
    found = walk("together", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    same = {"taken": [12, 12, 12], "streams": 5}
    assert found == {"first": same, "second": same}


def test_the_benchmark_of_a_gpu_comes_to_its_end_and_captures(library: Path) -> None:
    found = walk("benchmark", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    rows = {"steps": 2, "runs": 2, "evaluation": 1, "large": 2, "together": 2}
    assert {name: (one["code"], one["error"], one["rows"]) for name, one in found.items()} == {
        name: (0, "", count) for name, count in rows.items()
    }
    assert [found[name]["steps"] for name in ("steps", "runs", "large")] == [["captured"]] * 3
