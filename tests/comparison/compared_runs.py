"""Finished runs with chosen test accuracies, stored as a worker would store them."""

import os
from collections.abc import Sequence

from lab.config import RunConfig
from lab.runs.owner import Owner, process_start
from lab.runs.records import RunRecord, RunState
from lab.runs.store import RunStore

BASE = RunConfig(dataset="digits", epochs=1)
LOW = (0.912, 0.915, 0.918, 0.909, 0.914)  # five seeds of one setting, and of a better one
HIGH = (0.931, 0.929, 0.934, 0.926, 0.930)


def ended_run(
    store: RunStore,
    config: RunConfig,
    accuracy: float | None,
    *,
    state: RunState = RunState.FINISHED,
    images: int = 359,
    fresh: bool = False,
) -> RunRecord:
    """Submit, claim and end one run. accuracy: that of its last epoch on the compared images, None for no accuracy."""
    owner = Owner("test-host", os.getpid(), process_start(os.getpid()) or 0.0)
    store.queue.submit(config, fingerprint=config.digest(data_checksum="d"), family="", fresh=fresh)
    run = store.leases.claim(slot="cpu", owner=owner)
    assert run is not None
    store.leases.set_environment(run.id, run.lease, environment={"test_images": images}, device="cpu")
    summary: dict[str, object] = {"final_epoch": 1, "outcome": "finished"}
    if accuracy is not None:
        summary |= {"val_accuracy": accuracy, "test_accuracy": 0.5} if config.folds else {"test_accuracy": accuracy}
    store.leases.finish(run.id, run.lease, state=state, seconds=1.0, summary=summary)
    return store.runs.get(run.id)


def seeded(
    store: RunStore, accuracies: Sequence[float], *, first: int = 0, base: RunConfig = BASE, **settings: object
) -> list[RunRecord]:
    """Return finished runs of one setting, one per seed."""
    return [
        ended_run(store, base.replace(seed=first + at, **settings), accuracy) for at, accuracy in enumerate(accuracies)
    ]


def folded(
    store: RunStore, accuracies: Sequence[float], *, base: RunConfig = BASE, folds: int = 5, **settings: object
) -> list[RunRecord]:
    """Return finished runs of one setting, one per fold, with these validation accuracies."""
    return [
        ended_run(store, base.replace(folds=folds, fold=at, **settings), accuracy)
        for at, accuracy in enumerate(accuracies, 1)
    ]
