"""Saved files in an object store (moto's S3 server): a run, an outage during it, and a resume after a long outage."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.runs.records import WEIGHTS, RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.worker.execution import execute
from lab.worker.supervisor.log import RECENT
from tests.cluster.object_store import ObjectStore, started_object_store
from tests.worker.worker_runs import SMALL, claim, open_lab, train, train_queued

pytestmark = pytest.mark.cluster
TIMEOUT_S = 300.0
LONG = SMALL.replace(epochs=40)


@pytest.fixture(scope="module")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with started_object_store(tmp_path_factory.mktemp("moto")) as started:
        yield started


@pytest.fixture
def lab(object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return open_lab(tmp_path / "s3", LAB_ARTIFACTS=f"s3://lab/{tmp_path.name}", LAB_DEVICE="cpu")


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [file.sha256 for file in lab.store.files.list(run.id, kind=WEIGHTS)]


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S:.0f} s"
        time.sleep(0.05)


def test_a_run_has_the_same_files_in_an_object_store_as_in_a_folder(
    lab: Lab, object_store: ObjectStore, tmp_path: Path
) -> None:
    run, elsewhere = train(lab, SMALL.replace(epochs=2)), open_lab(tmp_path / "folder")
    assert run.state is RunState.FINISHED
    assert _weights(lab, run) == _weights(elsewhere, train(elsewhere, SMALL.replace(epochs=2)))
    assert lab.weights.load(run.id, epoch=2).network is not None
    listed = [file.path for file in lab.store.files.list(run.id)]
    assert all(path in object_store.listing() for path in listed)
    assert object_store.listing().count(f"{run.id}/") == len(listed)  # replaced files were deleted


def _logged(text: str) -> bool:
    """Return whether the latest lines that this process logged contain a text."""
    return any(text in line for line in tuple(RECENT))


def _start(lab: Lab, *, wait_s: float) -> tuple[RunRecord, threading.Thread]:
    """Train a run in a thread and return both once weights of it are saved."""
    lab.submissions.submit(lab.validation.resolve(LONG))
    run = claim(lab)
    training = threading.Thread(
        target=execute, args=(lab, run), kwargs={"ending": threading.Event(), "wait_s": wait_s}, daemon=True
    )
    training.start()
    _until(lambda: bool(lab.store.files.list(run.id, kind=WEIGHTS)))
    return run, training


def _check(lab: Lab, run: RunRecord) -> None:
    done = lab.store.runs.get(run.id)
    assert (done.state, done.reason) == (RunState.FINISHED, "")
    assert len(_weights(lab, done)) == LONG.epochs
    assert lab.store.integrity.verify(done.id) == ()
    assert all(lab.artifacts.read(file) for file in lab.store.files.list(done.id))


def test_a_run_waits_for_the_end_of_an_outage(lab: Lab, object_store: ObjectStore) -> None:
    run, training = _start(lab, wait_s=300.0)
    object_store.go_away()
    # Not from captured output: pytest loses what another thread writes between its reading and truncating the file.
    _until(lambda: _logged("does not respond; check that it can be reached"))
    object_store.come_back()
    training.join(TIMEOUT_S)
    assert _logged("the place of the saved files answers again after ")
    _check(lab, run)
    assert lab.store.runs.get(run.id).attempts == 1


def test_a_long_outage_pauses_the_run_and_resuming_continues_it(lab: Lab, object_store: ObjectStore) -> None:
    run, training = _start(lab, wait_s=1.0)
    object_store.go_away()
    training.join(TIMEOUT_S)  # it ends by itself while the store is still unreachable
    paused = lab.store.runs.get(run.id)
    object_store.come_back()
    assert paused.state is RunState.PAUSED
    assert paused.reason.startswith(f"The place of the saved files ({lab.settings.artifacts}) was unreachable for ")
    lab.submissions.control(run.id, RunRequest.RUN)
    _check(lab, train_queued(lab))
