"""Runs that ended elsewhere and are imported whole: in many short transactions, invisible until the last one.

Until then a run is a partial run: its points and its list of files are stored, its row is not. An import that is killed
leaves partial runs, which `Removal.purge` removes. Whoever calls has checked everything. An imported run is nobody's
answer in the cache, because its numbers were not computed here; in all else it is a run like any other.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from lab.config import RunConfig
from lab.errors import LabError, RunStateError, StoreError
from lab.runs.digests import content_digest, row_digest
from lab.runs.encoding import encode_tags, setting_key
from lab.runs.leases import _RESULTS, ENDS, _number
from lab.runs.pace import MOST_ROWS, Pace
from lab.runs.partial_table import partial_runs
from lab.runs.points import _columns
from lab.runs.records import KeptFile, RunRecord, RunState, Series, Want
from lab.runs.removal import Removal, Remove
from lab.runs.schema import kept, runs

IMPORTED = "imported"
IMPORTABLE = ENDS  # states in which a run can come in
IMPORT_LEASE_S = (
    600.0  # renewed with every part, and every minute while files are written: longer than one of a gigabyte takes
)
_RENEW_S = 60.0
_ID_BYTES = 6  # 48 random bits: among a million runs two share an id with a chance of 1 in 600
Curves: TypeAlias = Mapping[str, Series] | Iterable[Series]


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run as it comes in.

    id: from `new_run_id`. points: the curves by name, or parts of curves, each in step order, that are read as they are
    stored. kept: its files, listed under this id.
    """

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
    points: Curves
    kept: tuple[KeptFile, ...]


@dataclass(frozen=True, slots=True)
class _Staged:
    """A run of which everything but its row is stored; values are those of its row."""

    number: int
    values: Mapping[str, Any]


def new_run_id() -> str:
    """Return a random id for a new run."""
    return secrets.token_hex(_ID_BYTES)


class Imports(Removal):
    """The part of `RunStore` that imports what others trained."""

    def insert_ended(
        self,
        ended: Sequence[EndedRun],
        *,
        origin: str = IMPORTED,
        write_file: Callable[[KeptFile], None] | None = None,
        remove: Remove = lambda _paths: None,
    ) -> tuple[RunRecord, ...]:
        """Store runs that have ended, all of them or none; nobody sees one before all are complete.

        write_file: writes a file that is already listed, so that one whose writer was killed is found and removed.
        remove: deletes files, should the import fail. Raises `RunStateError` for a run that has not ended.
        """
        live = next((run for run in ended if run.state not in IMPORTABLE), None)
        if live is not None:
            raise RunStateError(f"A run that is {live.state.value} cannot be imported: let it end first.")
        pace = Pace(self.database)
        staged: list[_Staged] = []
        try:
            for run in ended:
                number, values = self._list_partial(pace, run, origin)
                staged.append(_Staged(number, values))
                if write_file is not None:
                    self._write_files(pace, number, run.kept, write_file)
                self._store_points(pace, number, run)
            return self._publish(pace, [self._with_digest(one) for one in staged])
        except BaseException as error:
            try:
                for one in staged:
                    self._remove_partial(one.number, remove, pace)
            except (LabError, OSError) as second:
                error.add_note(f"What it left is removed later, because that failed as well: {second}")
            raise

    def _list_partial(self, pace: Pace, run: EndedRun, origin: str) -> tuple[int, dict[str, Any]]:
        """Give a run its number and list its files; return the number and its row's values as the database has them."""
        with pace.write(sized=False) as connection:
            connection.execute(insert(runs).values(**_row_values(run, origin)))
            # Read back: what a column holds may not be what was written. Gone again before anybody sees it.
            row = self._row(connection, run.id)
            connection.execute(delete(runs).where(runs.c.number == row.number))
            lease_until = self._clock() + IMPORT_LEASE_S
            entry = {"number": row.number, "id": run.id, "lease_until": lease_until}
            connection.execute(insert(partial_runs).values(**entry))
            if run.kept:
                connection.execute(insert(kept), [_kept_values(file) for file in run.kept])
        return row.number, dict(row._mapping)

    def _write_files(
        self, pace: Pace, number: int, files: Sequence[KeptFile], write_file: Callable[[KeptFile], None]
    ) -> None:
        renewed = self._clock()
        for file in files:
            write_file(file)
            if self._clock() - renewed > _RENEW_S:
                renewed = self._clock()
                self._renew(pace, number)

    def _store_points(self, pace: Pace, number: int, run: EndedRun) -> None:
        """Store the curves: as many short ones in one transaction, or as much of a long one, as fit into it."""
        waiting: list[Series] = []
        for part in _parts(run.points):
            waiting.append(part)
            while sum(one.step.size for one in waiting) >= pace.size:
                waiting = self._store_part(pace, number, run.id, waiting)
        while waiting:
            waiting = self._store_part(pace, number, run.id, waiting)

    def _store_part(self, pace: Pace, number: int, run: str, parts: Sequence[Series]) -> list[Series]:
        """Store the first points of these parts in one transaction; return what did not fit into it."""
        ready, rest, room = [], [], pace.size
        for part in parts:
            if room:
                ready.append((part.name, _columns(run, part.name, _cut(part, slice(None, room)))))
            if part.step.size > room:
                rest.append(_cut(part, slice(room, None)))
            room -= min(room, part.step.size)
        with pace.write() as connection:
            self._hold_partial(connection, number)
            self._upsert(connection, number, ready)
        return rest

    def _renew(self, pace: Pace, number: int) -> None:
        with pace.write(sized=False) as connection:
            self._hold_partial(connection, number)

    def _hold_partial(self, connection: Connection, number: int) -> None:
        now = self._clock()
        held = update(partial_runs).where(partial_runs.c.number == number, partial_runs.c.lease_until > 0)
        if connection.execute(held.values(lease_until=now + IMPORT_LEASE_S)).rowcount != 1:
            raise StoreError(
                f"The import stood still for more than {IMPORT_LEASE_S / 60:g} minutes and was removed meanwhile: "
                "import the bundle again."
            )

    def _with_digest(self, staged: _Staged) -> _Staged:
        row = _StagedRow(staged.values)
        with self.database.read_in_parts() as connection:
            digest = row_digest(row, content_digest(connection, row))  # type: ignore[arg-type]
        return _Staged(staged.number, {**staged.values, "digest": digest})

    def _publish(self, pace: Pace, staged: Sequence[_Staged]) -> tuple[RunRecord, ...]:
        """Make all partial runs visible at once."""
        with pace.write(sized=False) as connection:
            for one in staged:
                self._hold_partial(connection, one.number)
                connection.execute(delete(partial_runs).where(partial_runs.c.number == one.number))
                connection.execute(insert(runs).values(**one.values))
        with self.database.read() as connection:
            found = [connection.execute(select(runs).where(runs.c.number == one.number)).one() for one in staged]
        return tuple(self._record(row) for row in found)


class _StagedRow:
    """The row of a run that is not in the table yet, as its digest is computed from it."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _cut(series: Series, rows: slice) -> Series:
    return Series(series.name, series.step[rows], series.value[rows], series.time_s[rows])


def _parts(points: Curves) -> Iterator[Series]:
    """Yield parts of curves that fit into one transaction each."""
    for series in points.values() if isinstance(points, Mapping) else points:
        for start in range(0, max(1, np.size(series.step)), MOST_ROWS):
            yield _cut(series, slice(start, start + MOST_ROWS))


def _row_values(run: EndedRun, origin: str) -> dict[str, Any]:
    return {
        "id": run.id,
        "name": run.name,
        "config": run.config.as_dict(),
        "fingerprint": run.fingerprint,
        "family": "",
        "cache_key": None,
        "state": run.state,
        "want": Want.RUN,
        "reason": run.reason,
        "attempts": 1,
        "created_at": run.created_at,
        "queued_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds,
        "device": run.device,
        "origin": origin,
        "note": run.note,
        "tags": encode_tags(run.tags),
        "progress": {},
        "summary": dict(run.summary),
        "environment": dict(run.environment),
        "notices": list(run.notices),
        "arch": run.config.arch,
        "dataset": run.config.dataset,
        "setting": setting_key(run.config),
        **{name: _number(run.summary.get(name)) for name in _RESULTS},
    }


def _kept_values(file: KeptFile) -> dict[str, Any]:
    names = ("run", "path", "kind", "step", "epoch", "sha256", "bytes", "created_at")
    return {name: getattr(file, name) for name in names}
