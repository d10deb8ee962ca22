"""Runs that ended elsewhere and come in whole: row, points and list of files in one transaction, or nothing.

Whoever calls has checked everything and written the files. An imported run is nobody's answer in the cache, because its
numbers were not computed here; in all else it is a run like any other.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from lab.config import RunConfig
from lab.errors import RunStateError
from lab.runs.encoding import encode_tags, setting_key
from lab.runs.leases import _RESULTS, ENDS, _number
from lab.runs.points import Points, _columns, _sums_of_files
from lab.runs.records import KeptFile, RunRecord, RunState, Series, Want
from lab.runs.schema import kept, runs
from lab.runs.seals import RAW, file_sum

IMPORTED = "imported"
IMPORTABLE = ENDS  # states in which a run can come in
_ID_BYTES = 6  # 48 random bits: among a million runs two share an id with a chance of 1 in 600


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run as it comes in. id: from `new_run_id`. kept: files that are already written, listed under this id."""

    id: str
    name: str
    config: RunConfig
    fingerprint: str
    state: RunState
    reason: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    seconds: float
    device: str
    note: str
    tags: tuple[str, ...]
    summary: Mapping[str, Any]
    environment: Mapping[str, Any]
    notices: tuple[str, ...]
    points: Mapping[str, Series]
    kept: tuple[KeptFile, ...]


def new_run_id() -> str:
    """Return a random id for a new run."""
    return secrets.token_hex(_ID_BYTES)


class Imports(Points):
    """The part of `RunStore` that takes in what others trained."""

    def insert_ended(self, ended: Sequence[EndedRun], *, origin: str = IMPORTED) -> tuple[RunRecord, ...]:
        """Store runs that have ended, all of them or none. Raises `RunStateError` for one that has not."""
        live = next((run for run in ended if run.state not in IMPORTABLE), None)
        if live is not None:
            raise RunStateError(f"A run that is {live.state.value} cannot be taken in: let it end first.")
        with self.database.write() as connection:
            return tuple(self._insert_ended(connection, run, origin) for run in ended)

    def _insert_ended(self, connection: Connection, run: EndedRun, origin: str) -> RunRecord:
        values: dict[str, Any] = {
            "id": run.id, "name": run.name, "config": run.config.as_dict(), "fingerprint": run.fingerprint, "family": "",
            "cache_key": None, "state": run.state, "want": Want.RUN, "reason": run.reason, "attempts": 1,
            "created_at": run.created_at, "queued_at": run.created_at, "started_at": run.started_at,
            "finished_at": run.finished_at, "seconds": run.seconds, "device": run.device, "origin": origin,
            "note": run.note, "tags": encode_tags(run.tags), "progress": {}, "summary": dict(run.summary),
            "environment": dict(run.environment), "notices": list(run.notices), "arch": run.config.arch, "sums": {},
            "dataset": run.config.dataset, "setting": setting_key(run.config),
            **{name: _number(run.summary.get(name)) for name in _RESULTS},
        }  # fmt: skip
        row = self._seal(connection, connection.execute(insert(runs).values(**values).returning(*RAW)).one())
        ready = {name: _columns(run.id, name, series) for name, series in run.points.items()}
        row = self._store_points(connection, row, ready)
        if run.kept:
            listed = [_kept_values(file) for file in run.kept]
            connection.execute(insert(kept), listed)
            row = self._change(connection, row, **_sums_of_files(row, gone=(), new=[file_sum(one) for one in listed]))
        return self._record(connection, self._refresh_headline(connection, row))


def _kept_values(file: KeptFile) -> dict[str, Any]:
    names = ("run", "path", "kind", "step", "epoch", "sha256", "bytes", "created_at")
    return {name: getattr(file, name) for name in names}
