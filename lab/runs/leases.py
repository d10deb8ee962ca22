"""Who trains what: queue, claim, heartbeat, end, the user's wishes, and the dead.

`lease` is the fencing token. Every write of an owner says `… WHERE id = ? AND lease = ? AND state = 'running'`, so a
worker that comes back after its run was given away writes nothing and is told so by `LeaseLostError`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, exists, func, select, update

from lab.errors import RunStateError
from lab.runs.base import StoreBase
from lab.runs.digests import content_digest, row_digest
from lab.runs.owner import Owner, kill
from lab.runs.records import RunRecord, RunState, Want
from lab.runs.rows import AFTER_DEATH, LEASE_S, derive, owner_of
from lab.runs.schema import runs

ENDS = frozenset({RunState.FINISHED, RunState.STOPPED, RunState.PAUSED, RunState.FAILED, RunState.INTERRUPTED})
_REASON_OF_DEATH = "The process that trained it ended without a word; resume continues from the last checkpoint."
_RESULTS = ("test_accuracy", "val_accuracy", "best_epoch", "images_per_second")  # columns filled from the summary


class Leases(StoreBase):
    """The part of `RunStore` that decides who may write."""

    def claim(self, *, slot: str, owner: Owner) -> RunRecord | None:
        """Take the run that has waited longest, or None if there is none or the slot is in use on this host.

        slot: what can train one run at a time, such as "cpu" or "cuda:0". The record's `lease` is the fencing token.
        """
        now = self._clock()
        busy = exists().where(runs.c.host == owner.host, runs.c.slot == slot, runs.c.state == RunState.RUNNING)
        waiting = runs.c.state == RunState.QUEUED
        first = (
            select(runs.c.id)
            .where(waiting, runs.c.deleted_at.is_(None))
            .order_by(runs.c.queued_at, runs.c.number)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        with self.database.write() as connection:
            self._bury(connection, now)
            row = connection.execute(
                update(runs)
                .where(runs.c.id == first.scalar_subquery(), waiting, ~busy)
                .values(
                    state=RunState.RUNNING, want=Want.RUN, reason="", finished_at=None, slot=slot, host=owner.host,
                    pid=owner.pid, pid_start=owner.pid_start, lease=runs.c.lease + 1, attempts=runs.c.attempts + 1,
                    lease_until=now + LEASE_S, started_at=func.coalesce(runs.c.started_at, now), progress={},
                )
                .returning(runs)
            ).one_or_none()  # fmt: skip
        return None if row is None else self._record(row)

    def count_queued(self) -> int:
        """Return how many runs wait for a worker."""
        return self._count(RunState.QUEUED)

    def count_running(self) -> int:
        """Return how many runs a worker holds, or held when it died."""
        return self._count(RunState.RUNNING)

    def _count(self, state: RunState) -> int:
        query = select(func.count()).where(runs.c.state == state, runs.c.deleted_at.is_(None))
        with self.database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def heartbeat(self, run: str, lease: int) -> Want:
        """Renew the lease and return what the user wants of the run. Raises `LeaseLostError`."""
        with self.database.write() as connection:
            return Want(self._write_held(connection, run, lease).want)

    def wish(self, run: str) -> Want:
        """Return what the user wants of a run, and read nothing else: its worker asks five times a second.

        Raises `RunNotFoundError`.
        """
        with self.database.read() as connection:
            want = connection.execute(select(runs.c.want).where(runs.c.id == run)).scalar_one_or_none()
            return Want(want or self._row(connection, run, deleted=True).want)

    def set_environment(self, run: str, lease: int, *, environment: Mapping[str, Any], device: str) -> None:
        """Record where the run is trained: packages, machine, threads; and the device it really got."""
        with self.database.write() as connection:
            self._write_held(connection, run, lease, environment=dict(environment), device=device)

    def set_progress(self, run: str, lease: int, progress: Mapping[str, Any]) -> Want:
        """Replace the newest step's numbers; `seconds` among them becomes the run's training time."""
        with self.database.write() as connection:
            return Want(self._write_held(connection, run, lease, **progress_values(progress)).want)

    def add_notice(self, run: str, lease: int, text: str) -> None:
        """Add a sentence to the run; one that it already has is not repeated."""
        with self.database.write() as connection:
            row = self._write_held(connection, run, lease)
            if text not in row.notices:
                self._write_held(connection, run, lease, notices=[*row.notices, text])

    def finish(
        self,
        run: str,
        lease: int,
        *,
        state: RunState,
        heard: Want | None = None,
        reason: str = "",
        summary: Mapping[str, Any] | None = None,
        seconds: float | None = None,
    ) -> RunRecord:
        """End the owner's part of a run.

        state: FINISHED, STOPPED, PAUSED, FAILED or INTERRUPTED. heard: the wish that it ends so for; where the user
        has meanwhile wished something else, that is done, and going on puts it back into the queue. summary replaces
        the old one; seconds is the pure training time of all attempts together. Raises `LeaseLostError`,
        `RunStateError`.
        """
        if state not in ENDS:
            raise RunStateError(f"A run cannot end as {state.value}: end it as one of {', '.join(sorted(ENDS))}.")
        values: dict[str, Any] = {"state": state, "want": Want.RUN, "reason": reason, "finished_at": self._clock()}
        if summary is not None:
            values["summary"] = dict(summary)
            values |= {name: _number(summary.get(name)) for name in _RESULTS}
        if seconds is not None:
            values["seconds"] = seconds
        with self.database.read_in_parts() as connection:  # before the lock: only the owner changes these rows
            content = content_digest(connection, self._row(connection, run, deleted=True))
        with self.database.write() as connection:
            wish = Want(self._write_held(connection, run, lease).want)
            if heard not in (None, wish):
                values |= self._as_wished(wish)
            self._write_held(connection, run, lease, **values)
            row = self._row(connection, run, deleted=True)
            digest = "" if row.state == RunState.QUEUED else row_digest(row, content)
            sealed = update(runs).where(runs.c.id == run).values(digest=digest)
            return self._record(connection.execute(sealed.returning(runs)).one())

    def _as_wished(self, wish: Want) -> dict[str, Any]:
        """Return the columns of an end that was overtaken by another wish."""
        if wish is Want.RUN:
            return {"state": RunState.QUEUED, "queued_at": self._clock(), "finished_at": None, "reason": ""}
        return {"state": AFTER_DEATH[wish], "reason": ""}

    def request(self, run: str, want: Want) -> RunRecord:
        """Ask a run to stop, to pause, or to go on, whatever it is doing now; asking twice is the same as once.

        A queued run stops or pauses at once. Going on puts a paused, stopped, interrupted or failed run back into the
        queue, takes back a wish that was not yet acted on, and ends a process that holds the run but answers no more.
        Raises `RunStateError` where the wish makes no sense, such as resuming a finished run.
        """
        with self.database.write() as connection:
            row = self._row(connection, run, lock=True)
            state, responding = derive(row, now=self._clock())
            if want is Want.RUN and not responding:
                kill(owner_of(row))
                state = RunState.INTERRUPTED
            values = self._answer(connection, row, state, want)
            if values:
                row = connection.execute(update(runs).where(runs.c.id == run).values(**values).returning(runs)).one()
        return self._record(row)

    def _answer(self, connection: Connection, row: Row[Any], state: RunState, want: Want) -> dict[str, Any]:
        """Return the columns that a wish changes, none where it is already so."""
        if state in (RunState.RUNNING, RunState.STOPPING):
            return {"want": want}
        now = self._clock()
        # A dead owner's row still says running: whatever comes next, its lease is over.
        over = {"lease": row.lease + 1} if row.state == RunState.RUNNING else {}
        if want is Want.RUN and (state is RunState.QUEUED or state.resumable):
            queued = {"state": RunState.QUEUED, "want": Want.RUN, "queued_at": now, "finished_at": None}
            rest = {"reason": "", "digest": ""}
            return {} if state is RunState.QUEUED else queued | rest | over | _key_if_free(connection, row)
        if want is Want.STOP and state in _CAN_STOP:
            return {} if row.state == RunState.STOPPED else {"state": RunState.STOPPED, "finished_at": now} | over
        if want is Want.PAUSE and state in (RunState.QUEUED, RunState.PAUSED):
            return {} if row.state == RunState.PAUSED else {"state": RunState.PAUSED, "finished_at": now} | over
        raise RunStateError(_refusal(row.id, state, want))

    def recover(self) -> list[str]:
        """Write down the runs whose owner died, and return their ids; anyone may call this at any time."""
        now = self._clock()
        with self.database.read() as connection:
            dead = _dead(connection, now)
        if not dead or self.database.read_only:
            return []
        with self.database.write() as connection:
            return self._bury(connection, now)

    def _bury(self, connection: Connection, now: float) -> list[str]:
        buried = []
        for row, state in _dead(connection, now):
            done = connection.execute(
                update(runs)
                .where(runs.c.id == row.id, runs.c.lease == row.lease, runs.c.state == RunState.RUNNING)
                .where(runs.c.lease_until == row.lease_until)  # not renewed since it was looked at
                .values(state=state, want=Want.RUN, lease=row.lease + 1, reason=_REASON_OF_DEATH, finished_at=now)
            )
            if done.rowcount:
                buried.append(str(row.id))
        return buried


_CAN_STOP = (RunState.QUEUED, RunState.PAUSED, RunState.INTERRUPTED, RunState.STOPPED)


def progress_values(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of `runs` that a progress report fills."""
    values: dict[str, Any] = {"progress": dict(progress)}
    if "seconds" in progress:
        values["seconds"] = float(progress["seconds"])
    return values


def _dead(connection: Connection, now: float) -> list[tuple[Row[Any], RunState]]:
    rows = connection.execute(select(runs).where(runs.c.state == RunState.RUNNING)).all()
    states = [(row, derive(row, now=now)[0]) for row in rows]
    return [(row, state) for row, state in states if state not in (RunState.RUNNING, RunState.STOPPING)]


def _key_if_free(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """Give up the place in the cache if another run has meanwhile become the answer to the same question."""
    if row.cache_key is None:
        return {}
    answers = (RunState.QUEUED, RunState.RUNNING, RunState.FINISHED)
    taken = connection.execute(
        select(runs.c.id).where(
            runs.c.cache_key == row.cache_key,
            runs.c.id != row.id,
            runs.c.state.in_(answers),
            runs.c.deleted_at.is_(None),
        )
    ).first()
    return {} if taken is None else {"cache_key": None}


def _refusal(run: str, state: RunState, want: Want) -> str:
    verb = {Want.RUN: "resumed", Want.STOP: "stopped", Want.PAUSE: "paused"}[want]
    way_out = "train it again as a new run" if state is RunState.FINISHED else "resume it first, or leave it as it is"
    return f"Run {run} is {state.value}, so it cannot be {verb}: {way_out}."


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and value == value else None
