"""Tries changes in forks of one pytest process that has collected the tests.

Each fork replaces the code of one change and runs the tests that reach it.
"""

import contextlib
import functools
import gc
import importlib
import json
import mmap
import os
import resource
import signal
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.mutation.changes import Change
from tests.mutation.fault_list import CODE
from tests.mutation.live_code import CannotChangeError, LiveCode, Place

FOUND, SURVIVED, CUT_OFF, HUNG = "found", "survived", "cut off", "hung"
UNREACHED, NOT_TRIED = "no test reaches it", "not tried"
_OUT_OF_TIME = 3  # exit code of a fork that has used all its time before a test failed
_MEMORY = 12 * 2**30
Lines = dict[str, set[int]]  # by file
_SLACK_S = 1.0  # added to five times the time that a test takes without the change


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds.

    test_cpu_s: tests that take more processor time without a change are not run. all_cpu_s: processor time of all tests
    of a change together. wall_s: time of one test by the clock, to stop a test that waits forever.
    """

    test_cpu_s: float = 2.0
    all_cpu_s: float = 8.0
    wall_s: float = 120.0


@dataclass(slots=True)
class Reached:
    """What one test did on the unchanged code.

    lines: the lines it reached, by file. cpu_s: its processor seconds without those of shared fixtures (shared_s).
    passed: whether it passed.
    """

    lines: dict[str, list[int]] = field(default_factory=dict)
    cpu_s: float = 0.0
    passed: bool = False
    shared_s: float = 0.0

    @property
    def alone_s(self) -> float:
        """Return the processor seconds that the test takes as the first one of a process."""
        return self.cpu_s + self.shared_s


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one change. by: the test that found it, or the reason why it was not tried."""

    result: str
    by: str = ""
    cpu_s: float = 0.0


class Runner:
    """A pytest plugin that replaces the loop over the tests."""

    def __init__(
        self, modules: Mapping[str, Path], choose: Callable[[], Sequence[Change]], limits: Limits, most: int | None
    ) -> None:
        self._modules, self._choose, self._limits, self._most = modules, choose, limits, most
        self.known: dict[str, Reached] = {}
        self.imports: list[str] = []  # modules that the tests import while they run
        self.outcomes: list[tuple[Change, Place, Outcome]] = []
        self.report: Callable[[Change, Place, Outcome], None] = lambda *_: None
        self.traced: Callable[[], None] = lambda: None
        self._failed = False
        self._lines: Lines = {}
        self._fixtures: dict[pytest.FixtureDef[Any], tuple[Lines, float]] = {}
        self._caches: list[functools._lru_cache_wrapper[object]] = []
        self._running_test = mmap.mmap(-1, 4096)  # shared with the forks: the id of the running test

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a failure, in the fork that runs the test."""
        self._failed = self._failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Trace the tests that are not known yet, then try every change. True: no other plugin runs the tests."""
        items = {item.nodeid: item for item in session.items}
        new = [item for name, item in items.items() if name not in self.known]
        self._caches = _find_caches()
        if new:
            self._trace(new)
            self.traced()
        for name in self.imports:
            _import(name)
        self._caches = _find_caches()
        live = LiveCode({path: importlib.import_module(name) for name, path in self._modules.items()})
        gc.collect()
        gc.freeze()  # forks then share the memory of these objects, which their garbage collection does not visit
        usable = {
            name: known
            for name, known in self.known.items()
            if name in items and known.passed and known.cpu_s <= self._limits.test_cpu_s
        }
        for change in self._choose():
            place = live.place(change)
            names = sorted(
                (name for name in usable if place.is_reached(usable[name].lines)), key=lambda n: usable[n].alone_s
            )
            outcome = self._try(live, change, [(items[name], usable[name].alone_s) for name in names])
            self.outcomes.append((change, place, outcome))
            self.report(change, place, outcome)
            if self._most is not None and sum(one.result != NOT_TRIED for _, _, one in self.outcomes) >= self._most:
                break
        return True

    def _trace(self, items: Sequence[pytest.Item]) -> None:
        """Run the tests once in a fork, and note which modules they imported."""
        files = {str(path) for path in self._modules.values()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "reached.json")

            def run() -> int:
                loaded = set(sys.modules)
                found = {item.nodeid: asdict(self._traced(item, after, files)) for item, after in _with_next(items)}
                path.write_text(json.dumps([found, sorted(set(sys.modules) - loaded)]))
                return 0

            status, _ = _fork(run)
            if status != 0:
                raise RuntimeError(f"the tests could not be traced: {self._running()} ended the process ({status})")
            found, imports = json.loads(path.read_text())
        self.known |= {name: Reached(**one) for name, one in found.items()}
        self.imports = [*self.imports, *imports]

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
        """Record the lines that a fixture reaches: those of a shared fixture count for each test that uses it."""
        outer, self._lines, began = self._lines, {}, _cpu_s()
        try:
            return (yield)
        finally:
            own, took_s = self._lines, _cpu_s() - began
            self._fixtures[fixturedef] = (own, took_s)
            self._lines = outer
            _add(outer, own)

    def _traced(self, item: pytest.Item, after: pytest.Item | None, files: set[str]) -> Reached:
        def line(frame: types.FrameType, event: str, _: Any) -> Any:
            self._lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
            return line

        def call(frame: types.FrameType, event: str, _: Any) -> Any:
            return line(frame, event, None) if frame.f_code.co_filename in files else None

        self._lines, before = {}, set(self._fixtures)
        _clear(self._caches)
        threading.settrace(call)
        sys.settrace(call)
        try:
            cpu_s, passed = self._run(item, after)
        finally:
            sys.settrace(None)
            threading.settrace(None)
        known: dict[str, Sequence[pytest.FixtureDef[Any]]] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
        shared_s = 0.0
        wide = {one for several in known.values() for one in several if one.scope != "function"}
        for one in wide & set(self._fixtures):
            reached, took_s = self._fixtures[one]
            _add(self._lines, reached)
            shared_s += took_s
            cpu_s -= 0.0 if one in before else took_s
        lines = {name: sorted(found) for name, found in self._lines.items()}
        return Reached(lines, max(cpu_s, 0.0), passed, shared_s)

    def _run(self, item: pytest.Item, after: pytest.Item | None) -> tuple[float, bool]:
        """Run one test; return its processor seconds and whether it passed."""
        self._failed = False
        name = item.nodeid.encode()[: len(self._running_test) - 1]
        self._running_test[: len(name) + 1] = name + b"\0"
        began = _cpu_s()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=after)
        return _cpu_s() - began, not self._failed

    def _try(self, live: LiveCode, change: Change, tests: Sequence[tuple[pytest.Item, float]]) -> Outcome:
        try:
            apply = live.prepare(change)
        except CannotChangeError as error:
            return Outcome(NOT_TRIED, str(error))
        if not tests:
            return Outcome(UNREACHED)

        def run() -> int:
            resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
            apply()
            _clear(self._caches)
            took = dict(tests)
            for item, after in _with_next([item for item, _ in tests]):
                if _cpu_s() > self._limits.all_cpu_s:
                    return _OUT_OF_TIME
                signal.setitimer(signal.ITIMER_PROF, 5 * took[item] + _SLACK_S)
                signal.setitimer(signal.ITIMER_REAL, self._limits.wall_s)
                if not self._run(item, after)[1]:
                    return 1
            return 0

        status, cpu_s = _fork(run)
        results = {0: SURVIVED, _OUT_OF_TIME: CUT_OFF, -signal.SIGALRM: HUNG}
        result = results.get(status, FOUND)
        return Outcome(result, "" if result in (SURVIVED, CUT_OFF) else self._running(), cpu_s)

    def _running(self) -> str:
        return bytes(self._running_test).partition(b"\0")[0].decode(errors="replace")


def _fork(run: Callable[[], int]) -> tuple[int, float]:
    """Run a function in a fork without output; return its exit code, or minus its signal, and its processor seconds."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            for number in (0, 1, 2):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
            code = run()
        finally:
            os._exit(code)
    _, status, used = os.wait4(pid, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # processes that its tests have left running
    return os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime


def _with_next(items: Sequence[pytest.Item]) -> Iterable[tuple[pytest.Item, pytest.Item | None]]:
    return zip(items, [*items[1:], None])


def _add(lines: Lines, more: Lines) -> None:
    for name, found in more.items():
        lines.setdefault(name, set()).update(found)


def _find_caches() -> list["functools._lru_cache_wrapper[object]"]:
    return [one for one in gc.get_objects() if type(one) is functools._lru_cache_wrapper and _is_ours(one)]


def _clear(caches: Iterable["functools._lru_cache_wrapper[object]"]) -> None:
    """Clear the caches of functions, so that they are called again."""
    for one in caches:
        one.cache_clear()


def _cpu_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _is_ours(one: "functools._lru_cache_wrapper[object]") -> bool:
    return str(getattr(one, "__module__", "")).partition(".")[0] in (*CODE, "tests")


def _import(name: str) -> None:
    """Import a module that the traced tests imported, so that no fork has to; skip modules that a test created."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(name)
    except Exception as error:
        print(f"not imported beforehand: {name} ({type(error).__name__})")
