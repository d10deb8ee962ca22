"""Runs the tests for one fault in a separate process, forked from one that has loaded the large packages.

A test is stopped when it exceeds its limit of processor time or of time by the clock. That alone is no evidence,
because the machine may be busy or the test long: `tests.mutation` runs it again on the code without the fault and
compares.
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

# Imported once for all trials; no module of the lab, whose code changes between trials.
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
_RAN = 100  # added to pytest's exit code, to distinguish it from that of a trial that could not start
_OWN = {"app", "lab", "pages", "tests", "__mp_main__"}
_POLL_S = 0.5  # between two checks of a trial


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits of one test, and of all tests of a fault together.

    cpu_s: processor seconds, including child processes. wall_s: seconds by the clock, to stop a test that waits
    forever.
    """

    test_cpu_s: float = 60.0
    test_wall_s: float = 180.0
    all_cpu_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a trial. code: pytest's exit code, -1 if it could not be started, None if a limit was exceeded.

    stopped: the test that exceeded its own limit, or "". cpu_s, wall_s: the times of that test, or of the whole trial
    if no test was stopped.
    """

    code: int | None
    stopped: str
    cpu_s: float
    wall_s: float


def start_trials() -> "multiprocessing.context.ForkServerContext":
    """Return the multiprocessing context that starts trials."""
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
    """Run tests (files or pytest ids) of the copy at `root` until the first failure."""
    running_file = log.with_suffix(".now")
    running_file.write_text("", encoding="utf-8")
    process = context.Process(target=_trial, args=(str(root), list(tests), str(log), str(running_file), list(options)))
    began = time.monotonic()
    process.start()
    assert process.pid is not None
    test, test_began, test_cpu, cpu = "", began, 0.0, 0.0
    stopped: Trial | None = None
    while stopped is None:
        process.join(_POLL_S)
        if not process.is_alive():
            break
        now, cpu = time.monotonic(), max(cpu, _cpu_s(process.pid))
        running = running_file.read_text(encoding="utf-8")
        if running != test:
            test, test_began, test_cpu = running, now, cpu
        took_cpu, took = cpu - test_cpu, now - test_began
        if test and (took_cpu > limits.test_cpu_s or took > limits.test_wall_s):
            stopped = Trial(None, test, took_cpu, took)
        elif cpu > limits.all_cpu_s:
            stopped = Trial(None, "", cpu, now - began)
    _kill_all(process.pid)
    process.join()
    code = process.exitcode
    passed = -1 if code is None or code < _RAN else code - _RAN
    return stopped or Trial(passed, "", cpu, time.monotonic() - began)


def _cpu_s(pid: int) -> float:
    """Return the processor time of a trial and its child processes, including the reaped ones."""
    total = 0.0
    try:
        trial = psutil.Process(pid)
        family = [trial, *trial.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for one in family:
        try:
            total += sum(one.cpu_times()[:4])  # user and system time of its own and of its reaped children
        except psutil.NoSuchProcess:
            continue
    return total


def _kill_all(pid: int) -> None:
    """Kill the trial and all its child processes, also those in other sessions."""
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


class _RunningTest:
    """Writes the id of the running test into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Record the test; pytest calls this before every test."""
        self._path.write_text(nodeid, encoding="utf-8")


def _trial(root: str, tests: list[str], log: str, running_file: str, more: list[str]) -> None:
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
    code = pytest.main([*options, *tests], plugins=[_RunningTest(Path(running_file))])
    sys.stdout.flush()
    sys.exit(_RAN + int(code))
