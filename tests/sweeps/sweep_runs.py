"""Sweeps on the digits that take a moment, trained in the test's process as a worker trains them."""

import threading
from typing import Any

from lab.runs.owner import Owner
from lab.service.lab import Lab
from lab.service.sweeps import SweepView
from lab.sweeps.spec import SweepSpec, read_spec
from lab.worker.execution import execute

BASE = {
    "arch": "lenet5",
    "dataset": "digits",
    "train_limit": 200,
    "batch_size": 50,
    "epochs": 4,
    "device": "cpu",
    "val_fraction": 0.2,
}
LR = {"lr": {"low": 1e-4, "high": 1e-1, "log": True}}


def small_spec(**changes: Any) -> SweepSpec:
    """Return the spec of eight random learning rates, pausing after 1 and 2 of 4 epochs, with these keys changed."""
    spec = {
        "name": "small",
        "base": BASE,
        "space": LR,
        "method": "random",
        "trials": 8,
        "halving": {"factor": 2, "first_epochs": 1},
    }
    return read_spec({**spec, **changes})


def work_once(lab: Lab, *, executed_by: Lab | None = None) -> bool:
    """Do what a worker does in one round; return whether there was anything to train."""
    due = lab.sweeps.advance_due()
    run = lab.store.leases.claim(slot="cpu", owner=Owner.of_this_process())
    if run is None:
        return due > 0 and bool(lab.store.sweeps.due())  # a trial that needs no training makes room for the next one
    execute(executed_by or lab, run, ending=threading.Event())
    return True


def work_until_idle(lab: Lab, *, most: int = 200) -> None:
    """Work until nothing is left to do."""
    for _ in range(most):
        if not work_once(lab):
            return
    raise AssertionError(f"there is still work after {most} rounds")


def run_sweep(lab: Lab, spec: SweepSpec) -> SweepView:
    """Create a sweep, work until it has ended, and return it."""
    view = lab.sweeps.create(spec)
    work_until_idle(lab)
    return lab.sweeps.show(view.sweep.id)
