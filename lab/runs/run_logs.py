"""The last log lines of a run's worker, stored so that they can be read on another machine."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from lab.runs.context import StoreContext
from lab.runs.row_changes import insert_for
from lab.runs.tables import run_logs, runs
from lab.text import escaped

MAX_LINES = 200
MAX_CHARACTERS = 40_000


@dataclass(frozen=True, slots=True)
class RunLog:
    """The log of the worker of a run's newest attempt. host: where it ran. lines: oldest first, by its clock."""

    host: str
    lines: tuple[str, ...]
    written_at: float


class RunLogs:
    """`RunStore.logs`: one log per run."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def write(self, run: str, *, host: str, lines: tuple[str, ...]) -> None:
        """Replace a run's log; of a long one the end is stored."""
        text = "\n".join(escaped(line) for line in lines[-MAX_LINES:])[-MAX_CHARACTERS:]
        with self.context.database.write() as connection:
            values = {"host": host, "lines": text, "written_at": self.context.moment(connection).now}
            made = insert_for(connection)(run_logs).values(run=run, **values)
            connection.execute(made.on_conflict_do_update(index_elements=["run"], set_=values))

    def add(self, run: str, line: str) -> None:
        """Append a line to a run's log, if it has one."""
        log = self.read(run)
        if log is not None:
            self.write(run, host=log.host, lines=(*log.lines, line))

    def read(self, run: str) -> RunLog | None:
        """Return a run's log, or None if no worker has written one."""
        with self.context.database.read() as connection:
            row = connection.execute(select(run_logs).where(run_logs.c.run == run)).one_or_none()
        return None if row is None else RunLog(row.host, tuple(row.lines.split("\n")), row.written_at)

    def forget_removed(self) -> None:
        """Delete the logs of runs that were purged."""
        with self.context.database.write() as connection:
            connection.execute(delete(run_logs).where(run_logs.c.run.not_in(select(runs.c.id))))
