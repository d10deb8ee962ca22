"""The captured step on a CUDA runtime without a GPU: all host code, and the rules of stream capture.

Kernels compute nothing there, so `tests/training/test_training_gpu.py` tests results and cuDNN. Each test runs a
separate process, because the runtime is chosen when a process starts.
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
    """Return the results of a walk by name; "calls" counts calls that CUDA forbids in a capture."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.cuda_host.walk", what]
    done = subprocess.run(command, cwd=ROOT, env=environment(library), capture_output=True, text=True, timeout=1200)
    if done.returncode:
        pytest.fail(f"The walk {what} ended with {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {result.pop("what"): result for result in found}


def test_every_network_is_captured_with_deterministic_algorithms(library: Path) -> None:
    found = walk("networks", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for what, result in found.items():
        steps = "captured" if what.endswith("auto") else "launched, because this was requested"
        assert result == {"steps": steps, "notices": [], "taken": 3}, what


def test_every_setting_is_captured(library: Path) -> None:
    found = walk("settings", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for what, result in found.items():
        assert (result["steps"], result["notices"]) == ("captured", []), what


def test_a_run_continues_after_a_failed_capture(library: Path) -> None:
    found = walk("failures", library)
    assert found.pop("calls")["invalidated"] == 2 * 4  # those of LateNet and UnevaluatedNet
    assert len(set(found.pop("held")["bytes"])) == 1
    assert list(found) == ["ValueNet", "LateNet", "RaisingNet", "SmallNet", "UnevaluatedNet"]
    assert all(result["reclaimed"] for result in found.values())
    for what in ("ValueNet", "LateNet", "RaisingNet"):
        assert found[what]["steps"].startswith("launched, because it could not be captured (")
        assert found[what]["taken"] == 12
    assert found["UnevaluatedNet"] == {**found["SmallNet"], "notices": ["evaluation-launched"]}
    assert found["UnevaluatedNet"]["steps"] == "captured"


def test_memory_is_shared_freed_and_reclaimed_if_it_runs_out(library: Path) -> None:
    found = walk("memory", library)
    assert len(set(found["runs"]["bytes"])) == 1
    assert len(set(found["evaluations"]["bytes"])) == 1
    assert found["evaluations"]["notices"] == []
    short = found["too little"]
    assert (short["steps"], short["taken"]) == ("captured", 4)
    assert short["notices"][-1] == "recorded-anew"
    assert found["calls"] == {"unsafe": 0, "invalidated": 0}


def test_runs_and_workers_on_the_second_device_do_not_use_the_first_and_restore_its_states(
    library: Path,
) -> None:
    found = walk("devices", library)
    assert found["second"] == {"steps": "captured", "notices": [], "taken": 18}
    assert found["current"] == {"device": 0, "bytes": 0}
    assert found["moved"] == {"as saved": [True] * 3}
    assert found["resumed"] == {"on the first": ["", ""], "on the second": [True, True]}
    assert found["warm"] == {"captures": 2, "streams": 1}
    assert found["worker"] == {"device": 1, "next": 0}
    assert found["worker's graph"] == {"captured": True}
    assert found["calls"] == {"unsafe": 0, "invalidated": 0}


def test_a_captured_step_has_six_kernels_more_than_the_limit(library: Path) -> None:
    """Images, labels and rate are found by one, then gather, normalise, write loss and logits, and count."""
    found = walk("kernels", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    assert len(found) == 5
    for what, result in found.items():
        assert result == {"more": 6, "deterministic": 0}, what


def test_algorithms_are_benchmarked_for_whole_batches_only(library: Path) -> None:
    found = walk("algorithms", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    for result in found.values():
        answers = [False, 3, False]  # the sample images, if an epoch takes half a second
        assert [noted for noted in result["noted"] if noted != answers] == [
            [False, 40, False],
            [False, 50, False],
            [True, 10, False],
            [True, 16, True],
        ]
        assert not result["after"]


def test_runs_that_take_turns_have_separate_streams_and_return_them(library: Path) -> None:
    """Each run has a stream, and so has each graph."""
    found = walk("together", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    same = {"taken": [12, 12, 12], "streams": 5}
    assert found == {"first": same, "second": same}


def test_the_gpu_benchmark_completes_and_captures_its_steps(library: Path) -> None:
    found = walk("benchmark", library)
    assert found.pop("calls") == {"unsafe": 0, "invalidated": 0}
    rows = {"steps": 2, "runs": 2, "evaluation": 1, "large": 2, "together": 2}
    assert {name: (result["code"], result["error"], result["rows"]) for name, result in found.items()} == {
        name: (0, "", count) for name, count in rows.items()
    }
    assert [found[name]["steps"] for name in ("steps", "runs", "large")] == [["captured"]] * 3
