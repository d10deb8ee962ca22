"""A lab of its own and runs of a moment, trained in the test's process as the worker trains them."""

import threading
from pathlib import Path

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.execution import execute

SMALL = RunConfig(arch="lenet5", dataset="digits", train_limit=64, batch_size=32, epochs=1, device="cpu")


def open_lab(home: Path, **more: str) -> Lab:
    """Return an empty lab; `more` are variables of its environment."""
    return Lab(Settings.from_env({"LAB_HOME": str(home), **more}))


def claim(lab: Lab) -> RunRecord:
    """Take the run that is queued."""
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    assert run is not None
    return run


def work_off(lab: Lab) -> RunRecord:
    """Train the run that is queued to its end and return it."""
    run = claim(lab)
    execute(lab, run, ending=threading.Event())
    return lab.store.runs.get(run.id, deleted=True)


def train(lab: Lab, config: RunConfig = SMALL) -> RunRecord:
    """Ask for a run, train it and return it."""
    lab.submissions.submit(lab.validation.resolve(config))
    return work_off(lab)
