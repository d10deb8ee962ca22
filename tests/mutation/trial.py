"""Runs the tests that concern one fault in a process of its own, started from one that has the large packages loaded."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

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
RAN = 100  # added to pytest's exit code, so that a trial which could not even begin is told apart
_OWN = {"app", "lab", "pages", "tests", "__mp_main__"}


def start_trials() -> "multiprocessing.context.ForkServerContext":
    """Return the context in which trials are started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def run_tests(
    context: "multiprocessing.context.ForkServerContext", root: Path, tests: Sequence[str], *, limit_s: float, log: Path
) -> tuple[int | None, float]:
    """Run these tests of the copy at `root` until the first that fails; return pytest's exit code, None for too slow, -1 where
    it could not be started."""
    process = context.Process(target=_trial, args=(str(root), list(tests), str(log)))
    began = time.monotonic()
    process.start()
    process.join(limit_s)
    late = process.is_alive()
    if process.pid is not None:
        _end_all(process.pid)
    process.join()
    code = process.exitcode
    return (None if late else -1 if code is None or code < RAN else code - RAN), time.monotonic() - began


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


def _trial(root: str, tests: list[str], log: str) -> None:
    os.chdir(root)
    with open(log, "wb") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    os.environ.pop("CI", None)
    sys.path[:] = [root, *[p for p in sys.path if p and Path(p).resolve() != Path(__file__).resolve().parents[2]]]
    for name in [name for name in sys.modules if name.partition(".")[0] in _OWN]:
        del sys.modules[name]
    import pytest

    loaded = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", loaded, "-m", "not slow and not browser and not gpu"]
    code = pytest.main([*options, *tests])
    sys.stdout.flush()
    sys.exit(RAN + int(code))
