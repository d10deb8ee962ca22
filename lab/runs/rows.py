"""From a row to a record, and the one place where a run's true state is read off its row.

A row only says what its owner last wrote. An owner that died wrote nothing, so RUNNING is believed only while the lease
holds or the owner is known to live; STOPPING and INTERRUPTED come from here.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Row

from lab.config import RunConfig
from lab.runs import facts
from lab.runs.encoding import decode_tags
from lab.runs.owner import Owner, is_alive
from lab.runs.records import KeptFile, RunRecord, RunState, Want

LEASE_S = 10.0  # a lease not renewed for this long is expired; workers renew every RENEW_S
RENEW_S = 2.0
FOREIGN_GRACE_S = 30.0  # an owner on another host cannot be looked at: it counts as dead after this much more silence

# What a run that was asked for something becomes when its owner died before doing it.
AFTER_DEATH = {Want.STOP: RunState.STOPPED, Want.PAUSE: RunState.PAUSED, Want.RUN: RunState.INTERRUPTED}
Alive = Callable[[Owner], bool | None]


def owner_of(row: Row[Any]) -> Owner:
    """Return the process that holds, or last held, the run."""
    return Owner(host=row.host or "", pid=row.pid or 0, pid_start=row.pid_start or "")


def lease_holds(lease_until: float | None, now: float) -> bool:
    """Whether a lease is in force. One further ahead than a lease can reach was written before the clock was set back."""
    return lease_until is not None and now <= lease_until <= now + LEASE_S + FOREIGN_GRACE_S


def derive(row: Row[Any], *, now: float, alive: Alive = is_alive) -> tuple[RunState, bool]:
    """Return the run's state as it is, and whether its owner answers.

    A live owner whose lease ran out is busy, not dead: it stays RUNNING or STOPPING with False.
    """
    state = RunState(row.state)
    if state is not RunState.RUNNING:
        return state, True
    want = Want(row.want)
    at_work = RunState.STOPPING if want is Want.STOP else RunState.RUNNING
    lives = alive(owner_of(row))
    if lives is False:  # a death seen on this host needs no lease to run out
        return AFTER_DEATH[want], True
    if lease_holds(row.lease_until, now):
        return at_work, True
    if lives is None:
        lives = now < (row.lease_until or 0.0) + FOREIGN_GRACE_S
    return (at_work, False) if lives else (AFTER_DEATH[want], True)


def run_record(row: Row[Any], *, now: float) -> RunRecord:
    """Build the record of a row of `runs`."""
    state, responding = derive(row, now=now)
    return RunRecord(
        id=row.id,
        name=row.name,
        config=RunConfig.from_dict(row.config),
        fingerprint=row.fingerprint,
        family=row.family,
        state=state,
        want=Want(row.want),
        responding=responding,
        reason=row.reason,
        lease=row.lease,
        attempts=row.attempts,
        created_at=facts.moment_or_nan(row.created_at),
        started_at=facts.usable_moment(row.started_at),
        finished_at=facts.usable_moment(row.finished_at),
        seconds=facts.usable_span(row.seconds),
        device=facts.usable_device(row.device),
        parent=row.parent,
        origin=row.origin,
        pinned=bool(row.pinned),
        note=row.note,
        tags=decode_tags(row.tags),
        progress=facts.usable(row.progress, facts.progress_kind),
        summary=facts.usable(row.summary, facts.result_kind),
        environment=facts.usable(row.environment, facts.environment_kind),
        notices=facts.usable_texts(row.notices),
        number=row.number,
    )


def kept_file(row: Row[Any]) -> KeptFile:
    """Build the record of a row of `kept`."""
    return KeptFile(
        run=row.run,
        kind=row.kind,
        step=row.step,
        epoch=row.epoch,
        path=row.path,
        sha256=row.sha256,
        bytes=row.bytes,
        created_at=row.created_at,
    )
