"""Real runs for the tests of this package: short trainings on the built-in digits, made once."""

import os
import threading
from pathlib import Path
from typing import Any

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState
from lab.service.lab import Lab
from lab.settings import Settings
from lab.worker.execution import execute
from tests.waiting import wait_until

DATA = Path(os.environ.get("LAB_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
SMALL = {
    "arch": "lenet5",
    "dataset": "digits",
    "train_limit": 200,
    "epochs": 2,
    "batch_size": 32,
    "device": "cpu",
}


def open_lab(home: Path, *, data: Path | None = None) -> Lab:
    """Return a new, empty lab."""
    return Lab(
        Settings(
            home=home,
            data=data or home / "data",
            database=f"sqlite:///{home / 'lab.db'}",
            artifacts=str(home / "artifacts"),
            device="cpu",
        )
    )


def train_run(lab: Lab, *, name: str = "", tags: tuple[str, ...] = (), **changes: Any) -> RunRecord:
    """Train one run and return its final record. A worker of the lab that claims it first trains it instead.

    Other queued runs stay in the queue.
    """
    run = lab.submissions.submit(
        lab.validation.resolve(RunConfig.from_dict({**SMALL, **changes})), name=name, tags=tags
    ).run
    claimed = lab.store.leases.claim(slot="test", owner=Owner.of_this_process(), run=run.id)
    if claimed is None:
        wait_until(lambda: lab.store.runs.get(run.id).state is RunState.FINISHED)
    else:
        execute(lab, claimed, ending=threading.Event())
    return lab.store.runs.get(run.id)
