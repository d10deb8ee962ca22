"""Jobs at executors: which are open, which runs need one, and binding a run to an executor.

A job is recorded before its executor is called, with at most one open job per run (a unique index). So only one of two
supervisors submits it, and one that is killed in between leaves a name by which the job can be found.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from lab.errors import RunStateError
from lab.runs.checksums import RAW, is_intact
from lab.runs.context import StoreContext
from lab.runs.database import Moment
from lab.runs.expired import expire, mark_expired
from lab.runs.records import LIVE, RunRecord, RunState
from lab.runs.row_changes import change_row, insert_for, sound_row
from lab.runs.rows import decoded, derive, expired_state, lease_holds, owner_of, record_of, run_record
from lab.runs.run_facts import RunProgress
from lab.runs.serving import is_serving
from lab.runs.tables import jobs, runs
from lab.runs.waiting_rows import waiting_order

REFUSED = "refused"  # job state: the executor rejected it or did not respond; it is retried
HELD = "held"  # job state: its run was paused afterwards; earlier jobs no longer count
DISOWNED = "disowned"  # job state: it belongs to the lab from which this one was copied
_WORDS = 300  # stored characters of an executor's message


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. handle: the executor's name for it, "" before it is submitted. step: the run's step at submission.

    state and words: as the executor last reported them. Times are the store's. closed_at: None while it may start or
    run.
    """

    id: str
    run: str
    attempt: int
    executor: str
    handle: str
    state: str
    words: str
    step: int
    gained: int
    submitted_at: float
    started_at: float | None
    closed_at: float | None


@dataclass(frozen=True, slots=True)
class BoundRun:
    """A run that an executor trains or has an open job for.

    executor: where it may be trained now, "" for a host's slots. silent: it is in state running, but its lease has
    expired. slot: where it is or was last trained; for an executor, the id of the job that claimed it. job: its newest
    job, None if it has none.
    """

    run: str
    executor: str
    state: RunState
    silent: bool
    lease: int
    step: int
    slot: str
    job: JobRecord | None

    @property
    def open(self) -> JobRecord | None:
        """The job if it may still start or run, else None."""
        return self.job if self.job is not None and self.job.closed_at is None else None


class StoredJobs:
    """`RunStore.jobs`: the jobs of all executors."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def bound(self) -> tuple[BoundRun, ...]:
        """Return the live runs bound to executors, and all others with an open job, in the order of the queue."""
        opened = select(jobs.c.run).where(jobs.c.closed_at.is_(None))
        live = (runs.c.executor != "") & runs.c.state.in_(LIVE) & runs.c.deleted_at.is_(None)
        query = select(*RAW).where(live | runs.c.id.in_(opened)).order_by(runs.c.number)
        with self.context.database.read() as connection:
            moment = self.context.moment(connection)
            rows = [row for row in connection.execute(query) if is_intact(row)]
            newest = _newest(connection, [row.id for row in rows])
            turns = {waiting.number: turn for turn, waiting in enumerate(waiting_order(connection, bound=True))}
        rows.sort(key=lambda row: turns.get(row.number, -1))
        return tuple(_bound(row, newest.get(row.id), moment) for row in rows)

    def count(self, executors: Sequence[str]) -> int:
        """Return the number of runs or jobs that may require calls to these executors, whichever is higher."""
        if not executors:
            return 0
        waiting = runs.c.executor.in_(executors) & runs.c.state.in_(LIVE) & runs.c.deleted_at.is_(None)
        opened = jobs.c.executor.in_(executors) & jobs.c.closed_at.is_(None)
        with self.context.database.read() as connection:
            counts = [
                connection.execute(select(func.count()).select_from(table).where(where)).scalar_one()
                for table, where in ((runs, waiting), (jobs, opened))
            ]
            return max(map(int, counts))

    def count_open(self) -> Mapping[str, int]:
        """Return the number of jobs that may start or run, by executor."""
        query = select(jobs.c.executor, func.count()).where(jobs.c.closed_at.is_(None)).group_by(jobs.c.executor)
        with self.context.database.read() as connection:
            return {executor: int(count) for executor, count in connection.execute(query)}

    def newest(self, of: Iterable[str]) -> Mapping[str, JobRecord]:
        """Return the newest job of each of these runs, by run id; runs without jobs are left out."""
        with self.context.database.read() as connection:
            return _newest(connection, list(of))

    def list(self, run: str) -> tuple[JobRecord, ...]:
        """Return the jobs of a run, newest first."""
        with self.context.database.read() as connection:
            rows = connection.execute(select(jobs).where(jobs.c.run == run).order_by(jobs.c.attempt.desc())).all()
            return tuple(record_of(JobRecord, row) for row in rows)

    def open(self, run: str, executor: str) -> JobRecord | None:
        """Record the next job of a queued run; return None if it is not queued for this executor or has an open job."""
        with self.context.database.write() as connection:
            row = sound_row(connection, run, lock=True)
            attempt = connection.execute(select(func.max(jobs.c.attempt)).where(jobs.c.run == run)).scalar() or 0
            if row.state != RunState.QUEUED or row.executor != executor:
                return None
            values = {
                "id": f"lab-{run}-{attempt + 1}{_suffix(connection, run)}",
                "run": run,
                "attempt": attempt + 1,
                "executor": executor,
                "state": "new",
                "step": _step(row),
                "submitted_at": self.context.moment(connection).now,
            }
            made = insert_for(connection)(jobs).values(**values).on_conflict_do_nothing().returning(*jobs.c)
            found = connection.execute(made).one_or_none()
            return None if found is None else record_of(JobRecord, found)

    def note(self, job: str, *, state: str, words: str, handle: str | None = None, started: bool = False) -> None:
        """Record what the executor reported about an open job. handle: its name there. started: it is running now."""
        values: dict[str, Any] = {"state": state, "words": words[:_WORDS]}
        if handle is not None:
            values["handle"] = handle
        with self.context.database.write() as connection:
            if started:
                values["started_at"] = func.coalesce(jobs.c.started_at, self.context.moment(connection).now)
            connection.execute(update(jobs).where(jobs.c.id == job, jobs.c.closed_at.is_(None)).values(**values))

    def close(self, job: JobRecord, *, state: str, words: str) -> None:
        """Record that no process of a job runs or will run, and how many steps it trained."""
        with self.context.database.write() as connection:
            row = connection.execute(select(*RAW).where(runs.c.id == job.run)).one_or_none()
            gained = 0 if row is None else max(0, _step(row) - job.step)
            values = {"state": state, "words": words[:_WORDS], "gained": gained}
            values["closed_at"] = self.context.moment(connection).now
            connection.execute(update(jobs).where(jobs.c.id == job.id, jobs.c.closed_at.is_(None)).values(**values))

    def disown(self) -> None:
        """Leave all open jobs to the lab from which this one was copied: never cancelled, never asked about.

        Runs that wait for an executor get such a job too, because the other lab gives its next job the same name.
        """
        with self.context.database.write() as connection:
            now = self.context.moment(connection).now
            words = {"state": DISOWNED, "words": "of the lab from which this one was copied", "closed_at": now}
            connection.execute(update(jobs).where(jobs.c.closed_at.is_(None)).values(**words))
            bound = select(*RAW).where(runs.c.executor != "", runs.c.state.in_(LIVE), runs.c.deleted_at.is_(None))
            rows = connection.execute(bound).all()
            newest = _newest(connection, [row.id for row in rows])
            for row in rows:
                if row.id not in newest:
                    values = {"id": f"lab-{row.id}-0", "run": row.id, "attempt": 0, "executor": row.executor}
                    connection.execute(jobs.insert().values(**values, step=0, submitted_at=now, **words))

    def hold(self, run: str, reason: str) -> None:
        """Pause a queued run with a reason, so that no further job is started for it until it is resumed."""
        with self.context.database.write() as connection:
            row = sound_row(connection, run, lock=True)
            last = select(func.max(jobs.c.attempt)).where(jobs.c.run == run).scalar_subquery()
            newest = (jobs.c.run == run) & (jobs.c.attempt == last) & jobs.c.closed_at.is_not(None)
            connection.execute(update(jobs).where(newest).values(state=HELD))
            if row.state == RunState.QUEUED:
                now = self.context.moment(connection).now
                change_row(connection, row, state=RunState.PAUSED, reason=reason, finished_at=now)

    def expire(self, run: str, lease: int) -> bool:
        """Take a run from an owner on another host whose lease expired, because its executor says that the job ended.

        Returns whether the run was taken; an owner that has renewed its lease keeps it.
        """
        with self.context.database.write() as connection:
            row = sound_row(connection, run, lock=True)
            moment = self.context.moment(connection)
            gone = row.state == RunState.RUNNING and row.lease == lease and not lease_holds(row.lease_until, moment.now)
            if gone and not is_serving(owner_of(row), moment.database):
                expire(connection, row, expired_state(row), moment)
                return True
            return False

    def bind(self, run: str, executor: str) -> RunRecord:
        """Choose where a run is trained from now on. Raises `RunStateError` if it is in training or finished."""
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            mark_expired(connection, moment)  # a run whose worker is lost is not in training
            row = sound_row(connection, run, lock=True)
            if row.executor != executor:
                state = derive(row, moment=moment)[0]
                if row.state == RunState.RUNNING:
                    way_out = "pause it first" if state is RunState.RUNNING else "wait until it has stopped"
                    raise RunStateError(f"Run {run} is {state.value}, so it cannot be moved elsewhere: {way_out}.")
                if state is RunState.FINISHED:
                    raise RunStateError(
                        f"Run {run} is finished, so it cannot be moved elsewhere: train it again as a new run."
                    )
                row = change_row(connection, row, executor=executor)
            return run_record(row, moment=moment)


def _suffix(connection: Connection, run: str) -> str:
    """Return what tells the names of a run's jobs from those of the lab from which this one was copied."""
    disowned = select(jobs.c.id).where(jobs.c.run == run, jobs.c.state == DISOWNED).limit(1)
    return f"-{secrets.token_hex(3)}" if connection.execute(disowned).first() else ""


def _bound(row: Row[Any], job: JobRecord | None, moment: Moment) -> BoundRun:
    state, _ = derive(row, moment=moment)
    live = row.deleted_at is None
    return BoundRun(
        run=row.id,
        executor=row.executor,
        state=state if live else RunState.STOPPED,
        silent=state.in_training and not lease_holds(row.lease_until, moment.now),
        lease=row.lease,
        step=_step(row),
        slot=row.slot or "",
        job=job,
    )


def _step(row: Row[Any]) -> int:
    return RunProgress.read(decoded(row.progress)).step or 0


def _newest(connection: Connection, of: list[str]) -> dict[str, JobRecord]:
    last = select(jobs.c.run, func.max(jobs.c.attempt).label("attempt")).where(jobs.c.run.in_(of)).group_by(jobs.c.run)
    newest = last.subquery()
    both = (jobs.c.run == newest.c.run) & (jobs.c.attempt == newest.c.attempt)
    rows = connection.execute(select(jobs).join(newest, both)).all() if of else ()
    return {row.run: record_of(JobRecord, row) for row in rows}
