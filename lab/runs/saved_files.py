"""The list of saved files: weights, checkpoints and other files of a run, each with its SHA-256 and size."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from lab.runs import sums
from lab.runs.checksums import EMPTY_SUM, RAW, file_sum, is_intact
from lab.runs.context import StoreContext
from lab.runs.records import WEIGHTS, SavedFile
from lab.runs.results import refresh_headline
from lab.runs.row_changes import change_row, held_row, insert_for, sound_row
from lab.runs.rows import decoded, record_of, saved_file_values
from lab.runs.tables import runs, saved_files


@dataclass(frozen=True, slots=True)
class FileUsage:
    """The space that saved files use, in bytes.

    of_runs: by run, largest first; a file shared by several runs counts for each. total: of all runs that are not
    deleted, counting each file once. deleted: what purging the deleted runs would free.
    """

    of_runs: Mapping[str, int]
    total: int
    deleted: int
    deleted_runs: int


class SavedFiles:
    """`RunStore.files`: which files belong to which run; the bytes are in `lab.runs.artifacts`."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def add(self, run: str, lease: int, file: SavedFile) -> None:
        """List a file that is already written; if its path is listed, its entry is replaced."""
        values = {**saved_file_values(file), "run": run}
        fresh = {name: value for name, value in values.items() if name not in ("run", "path")}
        with self.context.database.write() as connection:
            row = held_row(connection, run, lease)
            replaced = sums.files_where(connection, saved_files.c.run == run, saved_files.c.path == file.path)
            changed = sums.after_files(row, gone=replaced, new=[file_sum(values)])
            row = change_row(connection, row, **self.context.renewed_lease(connection), **changed)
            statement = insert_for(connection)(saved_files).values(**values)
            connection.execute(statement.on_conflict_do_update(index_elements=["run", "path"], set_=fresh))
            if file.kind == WEIGHTS:
                new = not replaced and file.step != row.weights_step
                refresh_headline(connection, row, added=file.step if new else None)

    def remove(self, run: str, lease: int, paths: Iterable[str]) -> tuple[str, ...]:
        """Remove files from a run's list; return those that no other run lists: only these may be deleted."""
        gone = [*paths]
        with self.context.database.write() as connection:
            row = held_row(connection, run, lease)
            listed = sums.files_where(connection, saved_files.c.run == run, saved_files.c.path.in_(gone))
            row = change_row(
                connection, row, **self.context.renewed_lease(connection), **sums.after_files(row, gone=listed)
            )
            taken = (
                delete(saved_files)
                .where(saved_files.c.run == run, saved_files.c.path.in_(gone))
                .returning(saved_files.c.kind)
            )
            if WEIGHTS in connection.execute(taken).scalars().all():
                refresh_headline(connection, row)
            return unlisted(connection, gone)

    def list(self, run: str, *, kind: str | None = None) -> tuple[SavedFile, ...]:
        """Return a run's files in step order, all or of one kind. Raises `UnreadableRunError` for a damaged list."""
        query = (
            select(saved_files)
            .where(saved_files.c.run == run)
            .order_by(saved_files.c.step, saved_files.c.kind, saved_files.c.path)
        )
        with self.context.database.read() as connection:
            row = sound_row(connection, run)
            rows = connection.execute(query).all()
        if row.sums is not None and sums.sum_files(rows) != decoded(row.sums).get("files", EMPTY_SUM):
            raise sums.damaged_part("The list of saved files", run)
        return tuple(record_of(SavedFile, each) for each in rows if kind is None or each.kind == kind)

    def measure(self) -> FileUsage:
        """Return the space that the saved files use, by the sizes in the list; the files themselves are not read."""
        owned = saved_files.join(runs, runs.c.id == saved_files.c.run)
        size = func.sum(saved_files.c.bytes)
        by_run = select(saved_files.c.run, size).select_from(owned).where(runs.c.deleted_at.is_(None))
        files = select(saved_files.c.path, saved_files.c.bytes).select_from(owned).distinct()
        with self.context.database.read() as connection:
            found = connection.execute(by_run.group_by(saved_files.c.run)).all()
            kept = {path: int(size) for path, size in connection.execute(files.where(runs.c.deleted_at.is_(None)))}
            gone = {path: int(size) for path, size in connection.execute(files.where(runs.c.deleted_at.is_not(None)))}
            deleted = select(func.count()).select_from(runs).where(runs.c.deleted_at.is_not(None))
            count = connection.execute(deleted).scalar_one()
        largest_first = sorted(((run, int(total)) for run, total in found), key=lambda pair: (-pair[1], pair[0]))
        freed = sum(size for path, size in gone.items() if path not in kept)
        return FileUsage(dict(largest_first), sum(kept.values()), freed, int(count))

    def find_orphans(self, files: Mapping[str, float]) -> tuple[str, ...]:
        """Return those of the files (path to modification time) whose writer was killed before it updated the list.

        They are in a run's folder, no run lists them, and they were written under a lease of this store. Others may
        belong to another store, or be all that is left of a newer copy of this one.
        """
        held = select(*RAW).where(runs.c.lease_until.is_not(None))
        # Leases first: files written or listed during this read are spared, and no worker waits for all of it.
        with self.context.database.read_in_parts() as connection:
            # A damaged list may lack a file that it contained: no file of such a run is returned.
            rows = {row.id: row for row in connection.execute(held) if is_intact(row)}
            listed = set(connection.execute(select(saved_files.c.path)).scalars())
            loose = {path: at for path, at in files.items() if path not in listed and path.split("/")[0] in rows}
            until = {run: rows[run].lease_until for run in {path.split("/")[0] for path in loose}}
            whole = {run for run in until if sums.files_fit(connection, rows[run])}
        return tuple(path for path, at in loose.items() if (run := path.split("/")[0]) in whole and at <= until[run])


def unlisted(connection: Connection, paths: Sequence[str]) -> tuple[str, ...]:
    """Return those of the paths that no run lists."""
    listed = set(connection.execute(select(saved_files.c.path).where(saved_files.c.path.in_(paths))).scalars())
    return tuple(path for path in paths if path not in listed)
