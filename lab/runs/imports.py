"""Imports runs that ended elsewhere, in many short transactions; the runs are invisible until the last one commits.

Until then a run is partial: its points and its list of files are stored, but it has no row. A killed import leaves
partial runs, which `Removal.purge` removes. The caller has checked everything. An imported run is never a cached
answer, because its numbers were not computed here; in all other respects it is an ordinary run.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

import numpy as np
from sqlalchemy import Connection, delete, insert, select, update

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.errors import LabError, RunStateError, StoreError
from lab.runs.checksums import RAW, row_checksum
from lab.runs.context import StoreContext
from lab.runs.encoding import encode_tags
from lab.runs.headline import choose_weights
from lab.runs.point_rows import checked_columns, upsert_points
from lab.runs.records import ENDS, RunRecord, RunRequest, RunState, SavedFile, Series
from lab.runs.removal import Remove, remove_partial
from lab.runs.results import headline_columns, saved_epochs_of
from lab.runs.row_changes import sound_row
from lab.runs.row_values import summary_columns
from lab.runs.rows import run_record, saved_file_values
from lab.runs.run_facts import RunEnvironment, RunSummary
from lab.runs.sums import PointColumns, stored_sums
from lab.runs.tables import partial_runs, runs, saved_files
from lab.runs.throttled_writer import MAX_ROWS, ThrottledWriter

IMPORTED = "imported"
IMPORT_LEASE_S = (
    600.0  # renewed with every part, and every minute while files are written; longer than it takes to write 1 GB
)
_RENEW_S = 60.0
_TOGETHER = 10  # runs listed in one transaction
_NOTHING: dict[str, Any] = {"config": {}, "summary": {}, "environment": {}, "notices": [], "note": ""}  # large columns
Curves: TypeAlias = Mapping[str, Series] | Iterable[Series]


@dataclass(frozen=True, slots=True, kw_only=True)
class PortableRun:
    """The portable facts of a run: the fields shared by the record in a bundle and an imported run."""

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
    notices: tuple[str, ...]
    summary: RunSummary = field(default_factory=RunSummary)
    environment: RunEnvironment = field(default_factory=RunEnvironment)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun(PortableRun):
    """A run to import.

    id: from `lab.runs.ids.new_id`. parent: id of the run that it continues, None if that is not in this lab. points:
    curves by name, or parts of curves in step order, which are read while they are stored. files: its saved files,
    listed under this id.
    """

    id: str
    parent: str | None = None
    points: Curves
    files: tuple[SavedFile, ...]

    @classmethod
    def of(
        cls, run: PortableRun, *, id: str, parent: str | None, points: Curves, files: tuple[SavedFile, ...]
    ) -> "EndedRun":
        """Return a run to import under a new id."""
        shared = {one.name: getattr(run, one.name) for one in fields(PortableRun)}
        return cls(**shared, id=id, parent=parent, points=points, files=files)


class Imports:
    """`RunStore.imports`: stores runs that were trained elsewhere."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def insert(
        self,
        ended: Sequence[EndedRun],
        *,
        origin: str = IMPORTED,
        write_file: Callable[[SavedFile], None] | None = None,
        remove: Remove = lambda _paths: None,
    ) -> tuple[RunRecord, ...]:
        """Store runs that have ended, all of them or none; none is visible before all are complete.

        write_file: writes a file that is already listed, so that the file of a killed writer is found and removed.
        remove: deletes files if the import fails. Raises `RunStateError` for a run that has not ended.
        """
        live = next((run for run in ended if run.state not in ENDS), None)
        if live is not None:
            raise RunStateError(f"A run that is {live.state.value} cannot be imported: let it end first.")
        writer = ThrottledWriter(self.context.database)
        numbers: list[int] = []
        try:
            for first in range(0, len(ended), _TOGETHER):
                numbers += self._list_partial(writer, ended[first : first + _TOGETHER], origin)
            staged = []
            for number, run in zip(numbers, ended, strict=True):
                if write_file is not None:
                    self._write_files(writer, numbers, run.files, write_file)
                self._import_points(writer, numbers, number, run)
                staged.append(self._complete(writer, numbers, number, run, origin))
            return self._publish(writer, staged)
        except BaseException as error:
            try:
                for number in numbers:
                    remove_partial(self.context, number, remove, writer)
            except (LabError, OSError) as second:
                error.add_note(f"The clean-up failed as well, so the rest is removed later: {second}")
            raise

    def _list_partial(self, writer: ThrottledWriter, ended: Sequence[EndedRun], origin: str) -> list[int]:
        """List runs and their files as partial; return a number for each that no other run will have."""
        numbers = []
        with writer.write(sized=False) as connection:
            for run in ended:
                number = self._new_number(connection, {**_row_values(run, origin), **_NOTHING})
                lease_until = self.context.moment(connection).now + IMPORT_LEASE_S
                connection.execute(insert(partial_runs).values(number=number, id=run.id, lease_until=lease_until))
                if run.files:
                    connection.execute(insert(saved_files), [saved_file_values(file) for file in run.files])
                numbers.append(number)
        return numbers

    def _new_number(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Return a number that no other run will have; its row is deleted before the transaction commits."""
        number = connection.execute(insert(runs).values(**values).returning(runs.c.number)).scalar_one()
        connection.execute(delete(runs).where(runs.c.number == number))
        return int(number)

    def _write_files(
        self,
        writer: ThrottledWriter,
        held: Sequence[int],
        files: Sequence[SavedFile],
        write_file: Callable[[SavedFile], None],
    ) -> None:
        renewed = time.monotonic()
        for file in files:
            write_file(file)
            if time.monotonic() - renewed > _RENEW_S:
                renewed = time.monotonic()
                self._renew(writer, held)

    def _import_points(self, writer: ThrottledWriter, held: Sequence[int], number: int, run: EndedRun) -> None:
        """Store the curves. One transaction holds as many short ones, or as much of a long one, as it has room for."""
        waiting: list[Series] = []
        for part in _parts(run.points):
            waiting.append(part)
            while sum(one.step.size for one in waiting) >= writer.size:
                waiting = self._store_part(writer, held, number, run.id, waiting)
        while sum(one.step.size for one in waiting) > writer.size:
            waiting = self._store_part(writer, held, number, run.id, waiting)
        if waiting:
            self._store_part(writer, held, number, run.id, waiting)

    def _complete(
        self, writer: ThrottledWriter, held: Sequence[int], number: int, run: EndedRun, origin: str
    ) -> dict[str, Any]:
        """Return the values of a run's row, with the checksum over them as the database returns them."""
        values = {**_row_values(run, origin), "number": number}
        with self.context.database.read_in_parts() as connection:
            values["sums"] = stored_sums(connection, number, run.id)
            selected = choose_weights(saved_epochs_of(connection, run.id, number))
        values |= headline_columns(selected, summary=values["summary"], config=values["config"])
        with writer.write(sized=False) as connection:
            self._hold_partial(connection, held)
            connection.execute(insert(runs).values(**values))
            row = connection.execute(select(*RAW).where(runs.c.number == number)).one()
            connection.execute(delete(runs).where(runs.c.number == number))
        return {**values, "seal": row_checksum(row)}

    def _store_part(
        self, writer: ThrottledWriter, held: Sequence[int], number: int, run: str, parts: Sequence[Series]
    ) -> list[Series]:
        """Store the first points of these parts in one transaction; return the parts that did not fit."""
        ready, rest = _fitting(run, parts, writer.size)
        with writer.write() as connection:
            self._hold_partial(connection, held)
            upsert_points(connection, number, ready)
        return rest

    def _renew(self, writer: ThrottledWriter, held: Sequence[int]) -> None:
        with writer.write(sized=False) as connection:
            self._hold_partial(connection, held)

    def _hold_partial(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Renew the leases of all runs of the import, so that none expires while another is stored."""
        now = self.context.moment(connection).now
        held = update(partial_runs).where(partial_runs.c.number.in_(numbers), partial_runs.c.lease_until > 0)
        if connection.execute(held.values(lease_until=now + IMPORT_LEASE_S)).rowcount != len(numbers):
            raise StoreError(
                f"The import made no progress for more than {IMPORT_LEASE_S / 60:g} minutes and was removed: "
                "import the bundle again."
            )

    def _publish(self, writer: ThrottledWriter, staged: Sequence[Mapping[str, Any]]) -> tuple[RunRecord, ...]:
        """Make all runs visible at once."""
        if not staged:
            return ()
        numbers = [values["number"] for values in staged]
        with writer.write(sized=False) as connection:
            self._hold_partial(connection, numbers)
            connection.execute(delete(partial_runs).where(partial_runs.c.number.in_(numbers)))
            connection.execute(insert(runs), [dict(values) for values in staged])
        with self.context.database.read() as connection:
            rows = [sound_row(connection, values["id"], deleted=True) for values in staged]
            return tuple(run_record(row, moment=self.context.moment(connection)) for row in rows)


def _fitting(run: str, parts: Sequence[Series], room: int) -> tuple[list[tuple[str, PointColumns]], list[Series]]:
    """Return the columns of the first `room` points of the parts, and the parts that are left over."""
    ready, rest = [], []
    for part in parts:
        if room:
            ready.append((part.name, checked_columns(run, part.name, part[:room])))
        if part.step.size > room:
            rest.append(part[room:])
        room -= min(room, part.step.size)
    return ready, rest


def _parts(points: Curves) -> Iterator[Series]:
    """Yield parts of curves, each small enough for one transaction."""
    for series in points.values() if isinstance(points, Mapping) else points:
        for start in range(0, max(1, np.size(series.step)), MAX_ROWS):
            yield series[start : start + MAX_ROWS]


def _row_values(run: EndedRun, origin: str) -> dict[str, Any]:
    summary = run.summary.as_dict()
    return {
        "id": run.id,
        "name": run.name,
        "config": run.config.as_dict(),
        "fingerprint": run.fingerprint,
        "family": "",
        "cache_key": None,
        "state": run.state,
        "want": RunRequest.RUN,
        "reason": run.reason,
        "attempts": 1,
        "created_at": run.created_at,
        "queued_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": run.seconds,
        "device": run.device,
        "origin": origin,
        "parent": run.parent,
        "note": run.note,
        "tags": encode_tags(run.tags),
        "progress": {},
        "summary": summary,
        "environment": run.environment.as_dict(),
        "notices": list(run.notices),
        "arch": run.config.arch,
        "dataset": run.config.dataset,
        "setting": setting_key(run.config),
        **summary_columns(summary),
    }
