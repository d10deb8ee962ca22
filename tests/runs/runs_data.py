"""Small records for the tests of the run store."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import null, update

from lab.config import RunConfig
from lab.runs.checksums import RAW
from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.owner import Owner
from lab.runs.records import RunRecord, RunState, SavedFile, Series
from lab.runs.row_changes import find_row, write_checksum
from lab.runs.run_facts import RunSummary
from lab.runs.store import RunStore
from lab.runs.sums import stored_sums
from lab.runs.tables import runs

CONFIG = RunConfig(dataset="digits")


def series(name: str, steps: Sequence[int], values: Sequence[float]) -> Series:
    step = np.array(steps, dtype=np.int64)
    return Series(name=name, step=step, value=np.array(values, dtype=np.float64), time_s=step * 0.5)


def submit(store: RunStore, key: str = "f", *, config: RunConfig = CONFIG, **rest: object) -> RunRecord:
    record, _ = store.queue.submit(config, fingerprint=key, family="family of " + key, **rest)  # type: ignore[arg-type]
    return record


def claimed(store: RunStore, owner: Owner, key: str = "f", *, slot: str = "cpu") -> RunRecord:
    submit(store, key)
    record = store.leases.claim(slot=slot, owner=owner)
    assert record is not None
    return record


def saved_file(run: str, path: str = "r/1.safetensors", *, step: int = 1, kind: str = "weights") -> SavedFile:
    return SavedFile(run=run, kind=kind, step=step, epoch=step, path=path, sha256="ab" * 32, bytes=5, created_at=1.5)


def write_past_checks(store: RunStore, run: str, *, checksum: bool = True, **columns: object) -> None:
    """Write columns of a run without any validation, and update its checksum to match.

    checksum: if False, the row has none, as rows of a release without checksums.
    """
    with store.database.write() as connection:
        row = find_row(connection, run, deleted=True, lock=True)
        sums = stored_sums(connection, row.number, row.id) if checksum else null()
        values = {**columns, "sums": sums, "seal": "", "digest": ""}
        changed = update(runs).where(runs.c.number == row.number).values(**values).returning(*RAW)
        fresh = connection.execute(changed).one()
        if checksum:
            write_checksum(connection, fresh)


def ended(points: Any, *, id: str = "", files: tuple[SavedFile, ...] = (), seed: int = 0) -> EndedRun:
    """Return a finished run to import. points: its curves, as `EndedRun` has them."""
    return EndedRun(
        id=id or new_id(),
        name="from elsewhere",
        config=RunConfig(dataset="digits", seed=seed),
        fingerprint="f" * 64,
        state=RunState.FINISHED,
        reason="",
        created_at=1.6e9,
        started_at=1.6e9,
        finished_at=1.6e9,
        seconds=5.0,
        device="cpu",
        note="",
        tags=("t",),
        summary=RunSummary.from_dict({"test_accuracy": 0.5}),
        notices=(),
        points=points,
        files=files,
    )
