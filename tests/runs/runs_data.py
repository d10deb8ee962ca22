"""Small values for the tests of the run store."""

from collections.abc import Sequence

import numpy as np

from lab.config import RunConfig
from lab.runs.owner import Owner
from lab.runs.records import KeptFile, RunRecord, Series
from lab.runs.store import RunStore

CONFIG = RunConfig(dataset="digits")


def series(name: str, steps: Sequence[int], values: Sequence[float]) -> Series:
    step = np.array(steps, dtype=np.int64)
    return Series(name=name, step=step, value=np.array(values, dtype=np.float64), time_s=step * 0.5)


def submit(store: RunStore, key: str = "f", *, config: RunConfig = CONFIG, **rest: object) -> RunRecord:
    record, _ = store.submit(config, fingerprint=key, family="family of " + key, **rest)  # type: ignore[arg-type]
    return record


def claimed(store: RunStore, owner: Owner, key: str = "f", *, slot: str = "cpu") -> RunRecord:
    submit(store, key)
    record = store.claim(slot=slot, owner=owner)
    assert record is not None
    return record


def kept_file(run: str, path: str = "r/1.safetensors", *, step: int = 1, kind: str = "weights") -> KeptFile:
    return KeptFile(run=run, kind=kind, step=step, epoch=step, path=path, sha256="ab" * 32, bytes=5, created_at=1.5)
