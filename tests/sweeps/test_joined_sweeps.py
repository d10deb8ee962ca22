"""Sweeps on several machines: which machine creates the next trial, and how many are live at once; none is trained."""

from pathlib import Path

from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.registry import IMPORTED, get_dataset_spec
from lab.runs.hosts import HostRecord, Release
from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.service.datasets import TravellingDatasets
from lab.service.lab import Lab
from lab.service.submissions import Submissions
from lab.service.sweeps import Sweeps
from lab.service.validation import Validation
from lab.sweeps.records import SweepState
from tests.postgres import started_server
from tests.sweeps.sweep_runs import BASE, small_spec
from tests.worker.worker_runs import open_lab


def _joined_sweeps(lab: Lab) -> Sweeps:
    """Return the sweeps of a machine that joined, as `Lab` composes them there."""
    settings, store = lab.settings, lab.store
    validation = Validation(settings, store, TravellingDatasets(settings.data, store.shared_data))
    return Sweeps(settings, store, validation, Submissions(settings, store, validation, lab.weights), joined=True)


def test_a_machine_that_joined_creates_trials_once_it_can_fetch_their_data_set(tmp_path: Path) -> None:
    places = {"LAB_DATABASE": f"sqlite:///{tmp_path / 'lab.db'}", "LAB_ARTIFACTS": str(tmp_path / "artifacts")}
    lab, far = (open_lab(tmp_path / name, LAB_DATA=str(tmp_path / name / "data"), **places) for name in ("lab", "far"))
    dataset = write_local_dataset(
        IMPORTED, get_dataset_spec("digits").reader.read(()), recipe=MNIST, root=lab.settings.data
    )
    view = lab.sweeps.create(small_spec(base={**BASE, "dataset": dataset}))
    taken = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert taken is not None
    lab.store.leases.finish(taken.id, taken.lease, state=RunState.FAILED, reason="a test")  # so that a trial is due
    sweeps = _joined_sweeps(far)
    sweeps.advance_due()
    waiting = lab.sweeps.show(view.sweep.id)
    assert (waiting.sweep.state, waiting.sweep.reason) == (SweepState.RUNNING, "")
    assert not lab.store.queue.list()  # no trial that it could not train
    assert lab.shared_datasets.publish(dataset)
    sweeps.advance_due()
    (run,) = lab.store.queue.list()
    assert run.config.dataset == dataset
    assert run.fingerprint == lab.submissions.fingerprint(lab.validation.resolve(run.config))[0]


def test_a_sweep_has_a_live_trial_for_every_slot_of_all_machines(tmp_path: Path) -> None:
    with started_server() as server:
        lab = open_lab(tmp_path, LAB_DATABASE=server.new_database(), LAB_DEVICE="cpu")
        assert len(lab.sweeps.create(small_spec()).trials) == 1
        release = Release.of_this_machine()
        lab.store.hosts.set_release(release, host="lab")
        slots = (("cpu", "cpu"), ("cpu #2", "cpu"))
        lab.store.hosts.join(HostRecord("far", joined=True, engine=release.engine, torch=release.torch, slots=slots))
        assert len(lab.sweeps.create(small_spec(name="wide")).trials) == 3
        lab.store.close()
