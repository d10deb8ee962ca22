"""Runs the tests that concern one fault in a process of its own, started from one that has the large packages loaded.

A test is stopped when it has used more processor time, or waited longer, than its limits. That alone says nothing: the machine may be
busy, or the test long. `tests.mutation` runs it once more on the code without the fault and compares.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

# Imported once for all trials; nothing of the lab, whose code changes from one trial to the next.
_PRELOADED = [
    "captum.attr",
    "cv2",
    "fsspec",
    "hypothesis",
    "numpy",
    "pandas",
    "PIL.Image",
    "playwright.sync_api",
    "plotly.graph_objects",
    "pytest",
    "rich.console",
    "scipy.stats",
    "sklearn.manifold",
    "sqlalchemy",
    "streamlit.testing.v1",
    "torch._dynamo",
    "torchvision",
]
_RAN = 100  # added to pytest's exit code, so that a trial which could not even begin is told apart
_OWN = {"app", "lab", "pages", "tests", "__mp_main__"}
_LOOK_S = 0.5  # between two looks at a trial


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test, and all tests of a fault together, may take: seconds of processor time with all that they start,
    and seconds by the clock, which stop a test that waits for what never comes."""

    test_cpu_s: float = 60.0
    test_wall_s: float = 180.0
    all_cpu_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. code: pytest's exit code, -1 where it could not be started, None where a limit was passed.

    stopped: the test that ran when its own limit was passed, "" where there was none (or all together took too long).
    cpu_s, wall_s: what that test had taken; of the whole trial, where none was stopped.
    """

    code: int | None
    stopped: str
    cpu_s: float
    wall_s: float


def start_trials() -> "multiprocessing.context.ForkServerContext":
    """Return the context in which trials are started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def run_tests(
    context: "multiprocessing.context.ForkServerContext",
    root: Path,
    tests: Sequence[str],
    *,
    limits: Limits,
    log: Path,
    options: Sequence[str] = (),
) -> Trial:
    """Run these tests (files, or ids as pytest writes them) of the copy at `root` until the first that fails."""
    now_at = log.with_suffix(".now")
    now_at.write_text("", encoding="utf-8")
    process = context.Process(target=_trial, args=(str(root), list(tests), str(log), str(now_at), list(options)))
    began = time.monotonic()
    process.start()
    assert process.pid is not None
    test, test_began, test_cpu, cpu = "", began, 0.0, 0.0
    stopped: Trial | None = None
    while stopped is None:
        process.join(_LOOK_S)
        if not process.is_alive():
            break
        now, cpu = time.monotonic(), max(cpu, _cpu_s(process.pid))
        running = now_at.read_text(encoding="utf-8")
        if running != test:
            test, test_began, test_cpu = running, now, cpu
        took_cpu, took = cpu - test_cpu, now - test_began
        if test and (took_cpu > limits.test_cpu_s or took > limits.test_wall_s):
            stopped = Trial(None, test, took_cpu, took)
        elif cpu > limits.all_cpu_s:
            stopped = Trial(None, "", cpu, now - began)
    _end_all(process.pid)
    process.join()
    code = process.exitcode
    passed = -1 if code is None or code < _RAN else code - _RAN
    return stopped or Trial(passed, "", cpu, time.monotonic() - began)


def _cpu_s(pid: int) -> float:
    """Return the processor time of a trial with all that it started, of what has ended too if the trial waited for it."""
    total = 0.0
    try:
        trial = psutil.Process(pid)
        family = [trial, *trial.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for one in family:
        try:
            total += sum(one.cpu_times()[:4])  # own user and system, and those of its children that have ended
        except psutil.NoSuchProcess:
            continue
    return total


def _end_all(pid: int) -> None:
    """End what the trial has started, in whatever session it lives, and the trial itself."""
    try:
        trial = psutil.Process(pid)
        family = [*trial.children(recursive=True), trial]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            os.kill(one.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class _NowAt:
    """Writes the id of the test that runs into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """pytest calls it before every test."""
        self._path.write_text(nodeid, encoding="utf-8")


def _trial(root: str, tests: list[str], log: str, now_at: str, more: list[str]) -> None:
    os.chdir(root)
    with open(log, "wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ.pop("CI", None)
    sys.path[:] = [root, *[p for p in sys.path if p and Path(p).resolve() != Path(__file__).resolve().parents[2]]]
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]
    loaded = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", loaded, "-m", "not slow and not browser and not gpu", *more]
    code = pytest.main([*options, *tests], plugins=[_NowAt(Path(now_at))])
    sys.stdout.flush()
    sys.exit(_RAN + int(code))
