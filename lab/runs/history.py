"""What a run inherits from the run it continues, and what it discards when it is rewound to a checkpoint."""

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, literal, select

from lab.errors import RunStateError, UnreadableRunError
from lab.runs import sums
from lab.runs.checksums import EMPTY_SUM, points_sum
from lab.runs.context import StoreContext
from lab.runs.curves import fetch, last_steps
from lab.runs.point_rows import copy_part, delete_points, known_series
from lab.runs.records import RunState
from lab.runs.results import refresh_headline
from lab.runs.row_changes import change_held_row, change_row, held_row, sound_row
from lab.runs.rows import decoded
from lab.runs.saved_files import unlisted
from lab.runs.sums import sum_files
from lab.runs.tables import saved_files
from lab.runs.throttled_writer import ThrottledWriter


class History:
    """`RunStore.history`: curves and saved files of a run together, copied or truncated."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def rewind(self, run: str, lease: int, step: int) -> tuple[str, ...]:
        """Rewind a run to a step: delete points and files beyond it. Return the files that no run lists any more.

        The files are removed first: if the process is killed in between, no checkpoint is ahead of the points.
        """
        writer = ThrottledWriter(self.context.database)
        with writer.write(sized=False) as connection:
            row = held_row(connection, run, lease)
            beyond = (saved_files.c.run == run, saved_files.c.step > step)
            gone = sums.after_files(row, gone=sums.files_where(connection, *beyond))
            row = change_row(connection, row, **self.context.renewed_lease(connection), **gone)
            taken = delete(saved_files).where(*beyond).returning(saved_files.c.path)
            free = unlisted(connection, list(connection.execute(taken).scalars()))
            refresh_headline(connection, row)
        delete_points(
            self.context.database,
            writer,
            row.number,
            after_step=step,
            lock_row=lambda c: change_held_row(self.context, c, run, lease),
        )
        return free

    def copy(self, source: str, target: str, *, lease: int | None = None) -> None:
        """Copy the curves, training time and saved files of the run that a run continues; the files are shared.

        The source may be deleted. The list of files is written last: if the process is killed in between, the target
        has no checkpoint yet, and the copy is repeated. lease: the target's, once it is claimed. Raises
        `LeaseLostError`, `RunStateError` if the target has ended, and `UnreadableRunError` if the source is damaged.
        """
        writer = ThrottledWriter(self.context.database)
        with writer.write(sized=False) as connection:
            origin = sound_row(connection, source, deleted=True)
            number = self._open_for(connection, target, lease).number
            last = last_steps(connection, origin.number)
            names = {one: name for name, one in known_series(connection, None).items()}
        delete_points(self.context.database, writer, number, lock_row=lambda c: self._open_for(c, target, lease))
        for series in last:
            after: int | None = -1
            while after is not None:
                with writer.write() as connection:
                    sound_row(connection, source, deleted=True)  # it may have been purged in the meantime
                    row = self._open_for(connection, target, lease)
                    end = copy_part(connection, (origin.number, number), series, after, writer.size)
                    copied = fetch(connection, number, series, after_step=after)
                    part = points_sum(names[series], copied)
                    change_row(connection, row, **sums.after_moving(row, names[series], part, away=False))
                    after = end
        with writer.write(sized=False) as connection:
            _copy_files(
                connection, sound_row(connection, source, deleted=True), self._open_for(connection, target, lease)
            )

    def _open_for(self, connection: Connection, target: str, lease: int | None) -> Row[Any]:
        if lease is not None:
            return change_held_row(self.context, connection, target, lease)
        row = sound_row(connection, target, lock=True)
        if row.state != RunState.QUEUED:
            raise RunStateError(f"Run {target} is {row.state}, so only its worker may copy a history into it.")
        return row


def _copy_files(connection: Connection, origin: Row[Any], row: Row[Any]) -> None:
    """Share the files of a run whose curves were copied, and copy its training time."""
    known = origin.sums is not None and row.sums is not None
    if known and _curve_sums(origin) != _curve_sums(row):
        raise UnreadableRunError(
            f"The curves of run {origin.id} are damaged in the database (their checksum differs), so they were not "
            "copied: restore the store from a copy, or train the run again."
        )
    rest = [column for column in saved_files.columns if column.name != "run"]
    old = sums.files_where(connection, saved_files.c.run == row.id)
    connection.execute(delete(saved_files).where(saved_files.c.run == row.id))
    copied = select(literal(row.id), *rest).where(saved_files.c.run == origin.id)
    connection.execute(insert(saved_files).from_select(["run", *[c.name for c in rest]], copied))
    new = [sum_files(sums.files_where(connection, saved_files.c.run == row.id))]
    changed = change_row(connection, row, seconds=origin.seconds, **sums.after_files(row, gone=old, new=new))
    refresh_headline(connection, changed)


def _curve_sums(row: Row[Any]) -> dict[str, str]:
    return {key: one for key, one in (decoded(row.sums) or {}).items() if key != "files" and one != EMPTY_SUM}
