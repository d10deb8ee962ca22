"""Outages of the saved files: training waits, a long outage pauses the run, and its weights stay bit-identical."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.config import RunConfig
from lab.errors import ArtifactError, ArtifactsUnreachableError
from lab.runs import outage
from lab.runs.artifacts import ArtifactStore
from lab.runs.records import CHECKPOINT, WEIGHTS, RunRecord, RunRequest, RunState
from lab.service.lab import Lab
from lab.worker.execution import execute
from tests.worker.away_files import AwayFileSystem
from tests.worker.worker_runs import SMALL, claim, open_lab, train, train_queued

pytestmark = pytest.mark.long

TWO = SMALL.replace(epochs=2)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """A lab whose saved files are in an object store, and whose workers retry at once."""
    monkeypatch.setattr(outage, "RETRY_S", 0.001)
    AwayFileSystem.reset()
    yield open_lab(tmp_path / "away", LAB_ARTIFACTS="away://lab/files")
    AwayFileSystem.reset()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The digests of the weights of the same run with its files in a folder."""
    lab = open_lab(tmp_path_factory.mktemp("undisturbed"))
    return _weights(lab, train(lab, TWO))


def _weights(lab: Lab, run: RunRecord) -> list[str]:
    return [file.sha256 for file in lab.store.files.list(run.id, kind=WEIGHTS)]


def _train(lab: Lab, config: RunConfig = TWO, *, wait_s: float) -> RunRecord:
    lab.submissions.submit(lab.validation.resolve(config))
    run = claim(lab)
    execute(lab, run, ending=threading.Event(), wait_s=wait_s)
    return lab.store.runs.get(run.id)


def test_training_waits_during_a_short_outage(lab: Lab, undisturbed: list[str]) -> None:
    AwayFileSystem.after, AwayFileSystem.refuse = 1, {"write": 3}
    done = _train(lab, wait_s=60.0)
    assert (done.state, done.reason, done.attempts) == (RunState.FINISHED, "", 1)
    assert AwayFileSystem.refuse == {"write": 0}
    assert _weights(lab, done) == undisturbed
    assert lab.store.integrity.verify(done.id) == ()


@pytest.mark.parametrize("written", [1, 3])
def test_a_long_outage_pauses_the_run_with_its_reason_and_resume_gives_the_same_result(
    lab: Lab, undisturbed: list[str], written: int
) -> None:
    """Also if only the last files are missing: no run finishes before its weights are saved."""
    AwayFileSystem.after, AwayFileSystem.refuse = written, {"write": -1}
    paused = _train(lab, wait_s=0.05)
    assert paused.state is RunState.PAUSED
    assert paused.reason.startswith(
        "The place of the saved files (away://lab/files) was unreachable for 0 s, so training"
    )
    assert paused.reason.endswith("resume continues from its last checkpoint.")
    AwayFileSystem.refuse = {}
    lab.submissions.control(paused.id, RunRequest.RUN)
    resumed = train_queued(lab)
    assert (resumed.state, resumed.reason) == (RunState.FINISHED, "")
    assert _weights(lab, resumed) == undisturbed
    assert lab.store.integrity.verify(resumed.id) == ()
    listed = {f"/lab/files/{file.path}" for file in lab.store.files.list(resumed.id)}
    assert set(AwayFileSystem.store) == listed  # and nothing else


def test_a_run_resumed_during_an_outage_waits_for_its_checkpoint_and_pauses_if_it_is_long(
    lab: Lab, undisturbed: list[str]
) -> None:
    AwayFileSystem.after, AwayFileSystem.refuse = 2, {"write": -1}
    paused = _train(lab, wait_s=0.05)
    assert lab.store.files.list(paused.id, kind=CHECKPOINT)
    AwayFileSystem.refuse = {"read": -1}
    lab.submissions.control(paused.id, RunRequest.RUN)
    execute(lab, claim(lab), ending=threading.Event(), wait_s=0.05)
    again = lab.store.runs.get(paused.id)
    assert (again.state, again.attempts) == (RunState.PAUSED, 2)
    assert again.reason.startswith("The place of the saved files (away://lab/files) was unreachable")
    AwayFileSystem.refuse = {"read": 3}
    lab.submissions.control(paused.id, RunRequest.RUN)
    assert _weights(lab, train_queued(lab)) == undisturbed
    assert AwayFileSystem.refuse == {"read": 0}


def test_files_that_could_not_be_deleted_are_deleted_later(lab: Lab, undisturbed: list[str]) -> None:
    AwayFileSystem.refuse = {"delete": 1}
    done = _train(lab, wait_s=60.0)
    assert done.state is RunState.FINISHED
    assert AwayFileSystem.refuse == {"delete": 0}
    listed = {f"/lab/files/{file.path}" for file in lab.store.files.list(done.id)}
    assert set(AwayFileSystem.store) == listed
    assert _weights(lab, done) == undisturbed


def test_a_worker_that_is_asked_to_end_during_an_outage_does_not_wait(lab: Lab) -> None:
    lab.submissions.submit(lab.validation.resolve(TWO))
    run, ending = claim(lab), threading.Event()

    class Ending(AwayFileSystem):
        def _begin(self, operation: str) -> None:
            if operation == "write":
                ending.set()
            super()._begin(operation)

    vars(lab)["artifacts"] = ArtifactStore("away://lab/files")
    lab.artifacts._files = Ending()
    Ending.refuse = {"write": -1}
    execute(lab, run, ending=ending, wait_s=3_600.0)
    assert lab.store.runs.get(run.id).state is RunState.INTERRUPTED


def test_a_missing_object_is_not_an_outage(lab: Lab) -> None:
    saved = lab.store.files.list(_train(lab, wait_s=60.0).id)[0]
    lab.artifacts.delete([saved.path])
    with pytest.raises(ArtifactError, match="cannot be read") as missing:
        lab.artifacts.read(saved)
    assert not isinstance(missing.value, ArtifactsUnreachableError)
    AwayFileSystem.refuse = {"read": 1}
    with pytest.raises(
        ArtifactsUnreachableError, match=r"\(Could not connect to the endpoint URL\): away://lab/files does"
    ):
        lab.artifacts.read(saved)
