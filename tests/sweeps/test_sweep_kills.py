"""kill -9 of workers at random moments of a sweep: no trial is lost or made twice, and the rungs are those of a quiet sweep.

Zero failures in n kills shows a rate below about 3/n at 95 %: `-m slow` makes 50, below 6 %. What a kill may change is the
order in which trials are paid for, never what is trained: with one slot the sweep is the same to the last decision.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab.service.lab import Lab
from lab.service.sweeps import SweepView
from lab.settings import Settings
from lab.sweeps.records import SweepState
from tests.sweeps.sweep_runs import asked, work_through

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
# One process imports torch once, and forks a worker for every line it reads; the worker's process id is its answer.
FORKS = """
import os, sys, threading
import sklearn.datasets, torch, torch._dynamo
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.loop import work
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        torch.set_num_threads(1)
        work(Lab(Settings.from_env({"LAB_HOME": sys.argv[1]})), ending=threading.Event(), idle_s=86_400.0)
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


class Workers:
    """Workers of one lab, one after the other."""

    def __init__(self, home: Path) -> None:
        self._starter = subprocess.Popen(
            [sys.executable, "-c", FORKS, str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def kill_after(self, seconds: float) -> None:
        """Start a worker and kill it so long afterwards."""
        assert self._starter.stdin is not None
        assert self._starter.stdout is not None
        self._starter.stdin.write("go\n")
        self._starter.stdin.flush()
        pid = int(self._starter.stdout.readline())
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)  # it never leaves by itself

    def close(self) -> None:
        """End the process that starts them."""
        self._starter.communicate(timeout=120)


def _seen(view: SweepView) -> list[Any]:
    """Return what two sweeps must have in common: everything but run ids and times."""
    return [(one.number, dict(one.params), one.rung, one.values, one.state) for one in view.trials]


def _kill(tmp_path: Path, *, kills: int, trials: int) -> None:
    home, draw = tmp_path / "killed", random.Random(kills)
    lab, quiet = (Lab(Settings.from_env({"LAB_HOME": str(place)})) for place in (home, tmp_path / "quiet"))
    sweep = lab.sweeps.create(asked(trials=trials)).sweep.id
    workers = Workers(home)
    try:
        for _ in range(kills):
            workers.kill_after(draw.uniform(0.0, 1.5))
            if lab.sweeps.show(sweep).sweep.state is not SweepState.RUNNING:
                lab.sweeps.extend(sweep, trials=4)
    finally:
        workers.close()
    lab.store.leases.recover()
    work_through(lab)
    view = lab.sweeps.show(sweep)
    assert view.sweep.state is SweepState.FINISHED
    assert view.counts.failed == 0
    assert max(Counter(trial.run for trial in view.trials).values()) == 1
    assert lab.store.runs.count() == len(view.trials) == view.sweep.asked.trials
    expected = quiet.sweeps.create(asked(trials=trials)).sweep.id
    work_through(quiet)
    while len(quiet.sweeps.show(expected).trials) < len(view.trials):
        quiet.sweeps.extend(expected, trials=4)
        work_through(quiet)
    if len(view.sweep.earlier) == 0:
        assert _seen(view) == _seen(quiet.sweeps.show(expected))
    assert [dict(one.params) for one in view.trials] == [dict(t.params) for t in quiet.sweeps.show(expected).trials]


def test_a_few_kills_change_nothing(tmp_path: Path) -> None:
    _kill(tmp_path, kills=4, trials=6)


@pytest.mark.slow
def test_fifty_kills_change_nothing(tmp_path: Path) -> None:
    _kill(tmp_path, kills=50, trials=60)
