"""Who trains what: claim, heartbeat, end, the user's requests, and runs whose owner's lease expired.

`lease` is the fencing token. Every write of an owner is conditional on `id = ? AND lease = ? AND state = 'running'`, so
a worker that comes back after its run was reassigned writes nothing and gets a `LeaseLostError`.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, select, true

from lab.errors import RunStateError
from lab.findings import Finding
from lab.runs.checksums import RAW, has_checksum
from lab.runs.context import StoreContext
from lab.runs.database import Moment
from lab.runs.expired import expired_rows, mark_expired
from lab.runs.fair_order import FairOrder
from lab.runs.findings import stored_findings
from lab.runs.hosts import accepts
from lab.runs.older_rows import adopt_older_row
from lab.runs.owner import Owner
from lab.runs.records import ENDS, RunRecord, RunRequest, RunState
from lab.runs.results import refresh_headline
from lab.runs.row_changes import change_held_row, change_row, held_row, sound_row
from lab.runs.row_values import cache_key_if_free, progress_values, queued_again, summary_columns
from lab.runs.rows import EXPIRED_STATES, LEASE_S, decoded, derive, listed_record, owner_of, run_record
from lab.runs.serving import kill_if_serving
from lab.runs.tables import WAITING, runs
from lab.runs.waiting_rows import mark_served, waiting_one, waiting_order


class Leases:
    """`RunStore.leases`: decides who may write."""

    def __init__(self, context: StoreContext) -> None:
        self.context = context

    def claim(
        self,
        *,
        slot: str,
        owner: Owner,
        run: str | None = None,
        executor: str | None = None,
        lacks: Collection[str] = (),
    ) -> RunRecord | None:
        """Claim the first run of the queue; return None if there is none, or if this slot or host may not take one.

        slot: what can train one run at a time, such as "cpu" or "cuda:0"; it must be free on this host. run: claim only
        this run; without it, runs bound to an executor are skipped. executor: claim the run only if it is still bound
        to this one. lacks: data sets whose runs are left to others. The record's `lease` is the fencing token.
        """
        busy = select(runs.c.number).where(
            runs.c.host == owner.host, runs.c.slot == slot, runs.c.state == RunState.RUNNING
        )
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            mark_expired(connection, moment)
            free = accepts(connection, owner.host) and connection.execute(busy).first() is None
            row = self._first_waiting(connection, run, executor, lacks) if free else None
            if row is None:
                return None
            answers = run_record(row, moment=moment).progress.answers  # shown until there are new ones
            taken = change_row(
                connection,
                row,
                state=RunState.RUNNING,
                want=RunRequest.RUN,
                reason="",
                finished_at=None,
                slot=slot,
                host=owner.host,
                pid=owner.pid,
                pid_start=owner.pid_start,
                lease=row.lease + 1,
                attempts=row.attempts + 1,
                lease_until=moment.now + LEASE_S,
                progress={"answers": answers} if answers else {},
                started_at=moment.now if row.started_at is None else row.started_at,
            )
            mark_served(connection, row.owner)
            return run_record(taken, moment=moment)

    def _first_waiting(
        self, connection: Connection, run: str | None, executor: str | None, lacks: Collection[str]
    ) -> Row[Any] | None:
        """Return the locked row of the first run of the queue, or of the given run.

        A row that cannot be read is skipped. A locked row is being claimed by another process, on its owner's turn.
        """
        allowed: ColumnElement[bool] = and_(WAITING, true())
        if run is not None:
            allowed = and_(allowed, runs.c.id == run)
        if run is None or executor is not None:
            allowed = and_(allowed, runs.c.executor == (executor or ""))
        if run is None:
            order = waiting_order(connection, bound=False, lacks=lacks)
        else:
            order = FairOrder(waiting_one(connection, run), {})
        for waiting in order:
            query = select(*RAW).where(allowed, runs.c.number == waiting.number).with_for_update(skip_locked=True)
            row = connection.execute(query).one_or_none()
            if row is None:
                continue
            if not listed_record(row, moment=Moment(0.0)).problem:
                if has_checksum(row):
                    return row
                row = adopt_older_row(connection, row, moment=self.context.moment(connection))
                if row is not None:
                    return row
            order.pass_over()
        return None

    def release(self, *, slot: str, owner: Owner) -> None:
        """Queue again the runs of this slot that this process holds unknowingly: the reply to its claim was lost."""
        mine = (
            (runs.c.host == owner.host)
            & (runs.c.pid == owner.pid)
            & (runs.c.pid_start == owner.pid_start)
            & (runs.c.slot == slot)
            & (runs.c.state == RunState.RUNNING)
        )
        with self.context.database.write() as connection:
            for row in connection.execute(select(*RAW).where(mine).with_for_update()).all():
                change_row(connection, row, state=RunState.QUEUED, lease=row.lease + 1, attempts=row.attempts - 1)

    def heartbeat(self, run: str, lease: int) -> RunRequest:
        """Renew the lease and return the user's request. Raises `LeaseLostError`."""
        with self.context.database.write() as connection:
            return RunRequest(change_held_row(self.context, connection, run, lease).want)

    def requested(self, run: str) -> RunRequest:
        """Return the user's request, reading a single column: the worker of the run polls this at 5 Hz.

        Raises `RunNotFoundError`.
        """
        with self.context.database.read() as connection:
            request = connection.execute(select(runs.c.want).where(runs.c.id == run)).scalar_one_or_none()
            return RunRequest(request if request in set(RunRequest) else sound_row(connection, run, deleted=True).want)

    def set_environment(self, run: str, lease: int, *, environment: Mapping[str, Any], device: str) -> None:
        """Record where the run is trained (packages, machine, threads) and the device that it actually uses."""
        with self.context.database.write() as connection:
            change_held_row(self.context, connection, run, lease, environment=dict(environment), device=device)

    def set_progress(self, run: str, lease: int, progress: Mapping[str, Any]) -> RunRequest:
        """Replace the progress of the newest step; its `seconds` becomes the run's training time."""
        with self.context.database.write() as connection:
            return RunRequest(change_held_row(self.context, connection, run, lease, **progress_values(progress)).want)

    def add_notice(self, run: str, lease: int, text: str) -> None:
        """Add a notice to the run, unless it already has it."""
        with self.context.database.write() as connection:
            row = held_row(connection, run, lease)
            notices = decoded(row.notices)
            more = {} if text in notices else {"notices": [*notices, text]}
            change_row(connection, row, **self.context.renewed_lease(connection), **more)

    def finish(
        self,
        run: str,
        lease: int,
        *,
        state: RunState,
        fulfils: RunRequest | None = None,
        reason: str = "",
        summary: Mapping[str, Any] | None = None,
        seconds: float | None = None,
        findings: Iterable[Finding] | None = None,
        again: bool = False,
    ) -> RunRecord:
        """End the owner's part of a run.

        state: FINISHED, STOPPED, PAUSED, FAILED or INTERRUPTED. fulfils: the request that this end fulfils; if the user
        has requested something else since, that is done instead, and a request to resume queues the run again. summary
        and findings replace the stored ones; seconds is the pure training time of all attempts together. again: return
        the run to its old place in the queue, unless the user has requested something else. Raises `LeaseLostError` or
        `RunStateError`.
        """
        if state not in ENDS:
            raise RunStateError(f"A run cannot end as {state.value}: end it as one of {', '.join(sorted(ENDS))}.")
        values: dict[str, Any] = {"state": state, "want": RunRequest.RUN, "reason": reason, "digest": ""}
        if summary is not None:
            values |= {"summary": dict(summary), **summary_columns(summary)}
        if seconds is not None:
            values["seconds"] = seconds
        if findings is not None:
            values["findings"] = stored_findings(findings)
        with self.context.database.write() as connection:
            moment = self.context.moment(connection)
            row = held_row(connection, run, lease)
            request = RunRequest(row.want)
            values |= {"finished_at": moment.now, "lease_until": moment.now + LEASE_S}
            if again and request is RunRequest.RUN:  # `queued_at` stays, and so does its place
                values |= {"state": RunState.QUEUED, "finished_at": None, "reason": ""}
            elif fulfils not in (None, request):
                values |= _as_requested(request, moment.now)
            ended = refresh_headline(connection, change_row(connection, row, **values))
            return run_record(ended, moment=moment)

    def request(self, run: str, request: RunRequest) -> RunRecord:
        """Request that a run stops, pauses or resumes, whatever it is doing now. Requests are idempotent.

        A queued run stops or pauses at once. Resuming queues a paused, stopped, interrupted or failed run, withdraws a
        request that is still pending, and kills a process that holds the run but no longer responds.
        Raises `RunStateError` if the request makes no sense, such as resuming a finished run.
        """
        with self.context.database.write() as connection:
            row = sound_row(connection, run, lock=True)
            moment = self.context.moment(connection)
            state, responding = derive(row, moment=moment)
            if request is RunRequest.RUN and not responding:
                kill_if_serving(owner_of(row), self.context.database.url)
                state = RunState.INTERRUPTED
            values = self._answer(connection, row, state, request, moment.now)
            if values:
                row = change_row(connection, row, **values)
            return run_record(row, moment=moment)

    def _answer(
        self, connection: Connection, row: Row[Any], state: RunState, request: RunRequest, now: float
    ) -> dict[str, Any]:
        """Return the columns that a request changes; empty if nothing changes."""
        if state.in_training:
            return {"want": request}
        # The row of an owner that has exited still says running: any request ends its lease.
        over = {"lease": row.lease + 1, "want": RunRequest.RUN} if row.state == RunState.RUNNING else {}
        if request is RunRequest.RUN and (state is RunState.QUEUED or state.resumable):
            # A sweep's trial that the user resumes trains to its end.
            queued = {**queued_again(now), "pause_epoch": None}
            return {} if state is RunState.QUEUED else queued | over | cache_key_if_free(connection, row)
        if request is RunRequest.STOP and state in _CAN_STOP:
            return {} if row.state == RunState.STOPPED else {"state": RunState.STOPPED, "finished_at": now} | over
        if request is RunRequest.PAUSE and state in (RunState.QUEUED, RunState.PAUSED):
            return {} if row.state == RunState.PAUSED else {"state": RunState.PAUSED, "finished_at": now} | over
        raise RunStateError(_refusal(row.id, state, request))

    def recover(self) -> list[str]:
        """Mark the runs whose owner's lease expired, and return their ids; any process may call this at any time."""
        with self.context.database.read() as connection:
            expired = expired_rows(connection, self.context.moment(connection))
        if not expired or self.context.database.read_only:
            return []
        with self.context.database.write() as connection:
            return mark_expired(connection, self.context.moment(connection))


_CAN_STOP = (RunState.QUEUED, RunState.PAUSED, RunState.INTERRUPTED, RunState.STOPPED)


def _as_requested(request: RunRequest, now: float) -> dict[str, Any]:
    """Return the columns of an end that another request has overtaken."""
    if request is RunRequest.RUN:
        return queued_again(now)
    return {"state": EXPIRED_STATES[request], "reason": ""}


def _refusal(run: str, state: RunState, request: RunRequest) -> str:
    verb = {RunRequest.RUN: "resumed", RunRequest.STOP: "stopped", RunRequest.PAUSE: "paused"}[request]
    way_out = "train it again as a new run" if state is RunState.FINISHED else "resume it first, or leave it as it is"
    return f"Run {run} is {state.value}, so it cannot be {verb}: {way_out}."
