"""Workers are killed at random points: nothing acknowledged is lost, and the resumed run equals an uninterrupted one.

The sample is small (0 failures in 8 kills only show a rate below about 3/8 at 95 %); `make test-slow` kills 200 times.
The same check must detect a control whose commits were removed.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lab.config import RunConfig
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.settings import CHECKOUT, Settings

pytestmark = pytest.mark.long

# Dropout, augmentation and a schedule depend on everything that a checkpoint has to restore.
CONFIG = RunConfig(
    arch="basic-cnn",
    dataset="digits",
    epochs=4,
    batch_size=16,
    optimizer="adam",
    schedule="cosine",
    augment="light",
    patience=5,
    val_fraction=0.2,
)
UNREPEATABLE = {"images_per_second", "memory_mb"}  # speed and memory differ between runs
Acknowledged = set[tuple[str, str, int]]


class ForkServer:
    """A process that has imported torch and forks workers; `acknowledged` collects the points that they report."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.acknowledged: Acknowledged = set()
        self._exited = threading.Semaphore(0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START.format(writer=writer)],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[writer],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        os.close(writer)
        self._reader = threading.Thread(target=self._listen, args=(reader,), daemon=True)
        self._reader.start()
        assert self._line() == "ready"

    def _listen(self, reader: int) -> None:
        with os.fdopen(reader) as lines:
            for line in lines:
                if line == "exited\n":
                    self._exited.release()
                    continue
                run, series, steps = json.loads(line)
                self.acknowledged.update((run, series, step) for step in steps)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def start(self, home: Path, *, commit: bool = True) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"home": str(home), "commit": commit}) + "\n")
        self._process.stdin.flush()
        return int(self._line())

    def wait(self) -> None:
        """Wait until the worker has exited and its reports have been read."""
        assert self._line() == "exited"
        assert self._exited.acquire(timeout=120)

    def close(self) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._reader.join(20)


_START = "import os; os.dup2({writer}, 3); from tests.worker.fork_server import main; main()"


@pytest.fixture(scope="module")
def fork_server() -> Iterator[ForkServer]:
    started = ForkServer()
    yield started
    started.close()


def _lab(home: Path) -> Lab:
    return Lab(Settings.from_env({"LAB_HOME": str(home)}))


def _fingerprint(lab: Lab, run: RunRecord) -> dict[str, str]:
    """Return digests of the weights of every saved epoch and of every repeatable curve."""
    digests = {f"{file.kind} {file.step}": file.sha256 for file in lab.store.files.list(run.id, kind=WEIGHTS)}
    for name, series in lab.store.points.read(run.id).items():
        if name not in UNREPEATABLE:
            text = np.concatenate([series.step.astype(np.float64), series.value]).tobytes()
            digests[name] = hashlib.sha256(text).hexdigest()
    return digests


def _kill(pid: int) -> bool:
    """Kill a worker; return False if it had already exited, as fast workers do on an idle machine."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _train_with_kills(
    fork_server: ForkServer, lab: Lab, kills: int, seed: int, *, commit: bool = True
) -> list[RunRecord]:
    """Train new runs of CONFIG, killing the worker of each up to ten times, until there were `kills` kills."""
    generator = random.Random(seed)
    done, finished = 0, []
    while done < kills:
        run = lab.submissions.submit(lab.validation.resolve(CONFIG), fresh=True).run
        killed = 0
        while (run := lab.store.runs.get(run.id)).state is not RunState.FINISHED:
            if run.state is not RunState.QUEUED:
                assert run.state is RunState.INTERRUPTED, run
                lab.submissions.control(run.id, RunRequest.RUN)
            pid = fork_server.start(lab.settings.home, commit=commit)
            if killed < 10 and done < kills:
                # Log-uniform: as many kills in the first moments, and so during a start, as later.
                time.sleep(10 ** generator.uniform(-2, 0.1))
                if _kill(pid):
                    killed, done = killed + 1, done + 1
            fork_server.wait()
        finished.append(run)
    return finished


def _lost(lab: Lab, runs: list[RunRecord], acknowledged: Acknowledged) -> Acknowledged:
    stored = {
        (run.id, name, step)
        for run in runs
        for name, series in lab.store.points.read(run.id).items()
        for step in series.step.tolist()
    }
    return {row for row in acknowledged if row[0] in {r.id for r in runs}} - stored


@pytest.fixture(scope="module")
def reference(fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Train one run without kills and return its fingerprint."""
    lab = _lab(tmp_path_factory.mktemp("reference"))
    run = lab.submissions.submit(lab.validation.resolve(CONFIG)).run
    fork_server.start(lab.settings.home)
    fork_server.wait()
    run = lab.store.runs.get(run.id)
    assert run.state is RunState.FINISHED, run.reason
    assert run.summary.epochs == 4
    return _fingerprint(lab, run)


def _errors_after_kills(
    fork_server: ForkServer, reference: dict[str, str], home: Path, *, kills: int, seed: int
) -> list[str]:
    """Kill and resume workers, and return a line for everything that is wrong."""
    lab = _lab(home)
    runs = _train_with_kills(fork_server, lab, kills, seed)
    errors = [f"lost {row}" for row in sorted(_lost(lab, runs, fork_server.acknowledged))]
    for run in runs:
        if _fingerprint(lab, run) != reference:
            errors.append(f"run {run.id} differs from the uninterrupted one")
        newest = lab.store.files.list(run.id, kind=CHECKPOINT)
        if len(newest) != 1:
            errors.append(f"run {run.id} lists {len(newest)} checkpoints")
        errors += [
            f"run {run.id} lists {file.path}, which is missing" for file in newest if not lab.artifacts.read(file)
        ]
    return errors


def test_eight_kills_lose_nothing_and_change_no_bit(
    fork_server: ForkServer, reference: dict[str, str], tmp_path: Path
) -> None:
    assert _errors_after_kills(fork_server, reference, tmp_path, kills=8, seed=1) == []
    assert len(fork_server.acknowledged) > 100


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_and_change_no_bit(
    fork_server: ForkServer, reference: dict[str, str], tmp_path: Path
) -> None:
    assert _errors_after_kills(fork_server, reference, tmp_path, kills=200, seed=2) == []


def test_a_store_that_acknowledges_without_committing_is_detected(fork_server: ForkServer, tmp_path: Path) -> None:
    lab = _lab(tmp_path)
    run = lab.submissions.submit(lab.validation.resolve(CONFIG), fresh=True).run
    fork_server.start(tmp_path, commit=False)
    fork_server.wait()
    assert len(_lost(lab, [lab.store.runs.get(run.id)], fork_server.acknowledged)) > 100
