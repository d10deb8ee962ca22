"""Conversion of rows to records, and the one place where a run's true state is derived from its row.

A row contains only what its owner last wrote, and a killed owner wrote nothing. RUNNING is therefore believed only
while the lease holds or the owner is known to be alive; STOPPING and INTERRUPTED are derived here.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Float, Integer, Row, String, not_, or_, select

from lab.config import RunConfig
from lab.errors import ConfigError, UnreadableRunError
from lab.findings import Finding
from lab.runs import facts
from lab.runs.checksums import DAMAGED, RAW, is_intact
from lab.runs.database import MAX_VALUES, Moment
from lab.runs.encoding import decode_json, decode_tags
from lab.runs.headline import METRICS, HeadlineResult
from lab.runs.old_notices import is_old_finding
from lab.runs.owner import Owner, this_host
from lab.runs.records import RunRecord, RunRequest, RunState, SavedFile
from lab.runs.run_facts import RunEnvironment, RunProgress, RunSummary
from lab.runs.serving import is_serving
from lab.runs.tables import runs
from lab.runs.visible import visible, with_visible_text

_Record = TypeVar("_Record")
LEASE_S = 10.0  # a lease not renewed for this long is expired; workers renew every RENEW_S
RENEW_S = 2.0
FOREIGN_GRACE_S = 30.0  # an owner on another host cannot be checked: it counts as ended after this further silence
SILENT_S = 15.0  # a host, or a worker on another host, that was silent for this long counts as lost

# The state of a run with a request whose owner exited before it obeyed.
EXPIRED_STATES = {
    RunRequest.STOP: RunState.STOPPED,
    RunRequest.PAUSE: RunState.PAUSED,
    RunRequest.RUN: RunState.INTERRUPTED,
}


def owner_of(row: Row[Any]) -> Owner:
    """Return the process that holds or last held the run."""
    return Owner(host=row.host or "", pid=row.pid or 0, pid_start=row.pid_start or "")


def lease_holds(lease_until: float | None, now: float) -> bool:
    """Return whether a lease holds. One beyond the longest possible lease was written before the clock was set back."""
    return lease_until is not None and now <= lease_until <= now + LEASE_S + FOREIGN_GRACE_S


def derive(row: Row[Any], *, moment: Moment) -> tuple[RunState, bool]:
    """Return the true state of a run, and whether its owner responds.

    A live owner with an expired lease is busy and has not ended: the run stays RUNNING or STOPPING, with False. While
    the server was down nobody could renew a lease, so the silence of an owner on another host counts from its restart.
    In a copied store, the workers of the original have ended.
    """
    state = RunState(row.state)
    if state is not RunState.RUNNING:
        return state, True
    request = RunRequest(row.want)
    at_work = RunState.STOPPING if request is RunRequest.STOP else RunState.RUNNING
    lives = is_serving(owner_of(row), moment.database)
    if lives is False:  # on this host an exit is certain, whatever the lease
        return expired_state(row), True
    if lease_holds(row.lease_until, moment.now):
        return at_work, True
    if lives is None:
        lives = moment.now < max(row.lease_until or 0.0, moment.up_since + LEASE_S) + FOREIGN_GRACE_S
    return (at_work, False) if lives else (expired_state(row), True)


def heartbeat_age(row: Row[Any], *, moment: Moment) -> float | None:
    """Return the seconds since a run's lease was renewed; None if unknown, because the clock was set back."""
    age = math.nan if row.lease_until is None else moment.now - (row.lease_until - LEASE_S)
    return age if age >= 0 else None


def may_be_gone(moment: Moment) -> ColumnElement[bool]:
    """Return the condition for rows in state running whose owner may be lost: on this host, or with no valid lease.

    With 1,000 runs in training a claim that read all of them took 107 ms (docs/benchmarks.md).
    """
    holds = runs.c.lease_until.between(moment.now, moment.now + LEASE_S + FOREIGN_GRACE_S)  # as in `lease_holds`
    return or_(runs.c.host == this_host(), runs.c.lease_until.is_(None), not_(holds))


def expired_state(row: Row[Any]) -> RunState:
    """Return the new state of a run whose owner has ended; one bound to an executor is queued for its next job."""
    request = RunRequest(row.want)
    return RunState.QUEUED if row.executor and request is RunRequest.RUN else EXPIRED_STATES[request]


def damage_words(run: object) -> str:
    """Return the message for a run whose row is damaged."""
    return (
        f"Run {str(run)[:40]} {DAMAGED}, so its values are not shown: restore the store from a copy, or delete the run."
    )


def run_record(row: Row[Any], *, moment: Moment) -> RunRecord:
    """Build the record of a row of `runs`, or raise `UnreadableRunError` if it cannot be read."""
    record = listed_record(row, moment=moment)
    if record.problem:
        raise UnreadableRunError(record.problem)
    return record


def listed_record(row: Row[Any], *, moment: Moment) -> RunRecord:
    """Build the record of a row of `runs`, whatever it contains.

    If the row is damaged, or this release cannot read its configuration, the record has a `problem` and shows only
    values that are known to be right.
    """
    if not is_intact(row):
        return _without_values(row, damage_words(row.id))
    try:
        if not row.seal:
            _check_types(row)
        return with_visible_text(_decoded(row, moment))
    except ConfigError as error:
        return _without_values(
            row,
            f"The configuration of run {row.id} cannot be read by this release ({_short(error)}): update ConvLab, or "
            "delete the run.",
            known=True,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        # A row of an older release has no checksum, but it is damaged if it cannot be decoded.
        return _without_values(row, damage_words(row.id))


def listed_records(connection: Connection, numbers: Sequence[int], *, moment: Moment) -> tuple[RunRecord, ...]:
    """Return the records of the rows with these numbers, in this order, as `listed_record` does; others are left out."""
    rows = {
        row.number: row
        for start in range(0, len(numbers), MAX_VALUES)
        for row in connection.execute(select(*RAW).where(runs.c.number.in_(numbers[start : start + MAX_VALUES])))
    }
    return tuple(listed_record(rows[number], moment=moment) for number in numbers if number in rows)


def _short(error: Exception) -> str:
    text = str(error)
    return text if len(text) <= 110 else text[:107] + "..."


def _check_types(row: Row[Any]) -> None:
    for column in runs.columns:
        value = getattr(row, column.name)
        kinds = (str,) if isinstance(column.type, String) else (int, float)
        if value is not None and isinstance(column.type, (String, Integer, Float)) and not isinstance(value, kinds):
            raise TypeError(f"{column.name} is {type(value).__name__}")


def _decoded(row: Row[Any], moment: Moment) -> RunRecord:
    state, responding = derive(row, moment=moment)
    return RunRecord(
        id=row.id,
        name=row.name,
        config=RunConfig.from_dict(decoded(row.config)),
        fingerprint=row.fingerprint,
        family=row.family,
        state=state,
        requested=RunRequest(row.want),
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
        progress=RunProgress.read(visible(decoded(row.progress))),
        summary=RunSummary.read(visible(decoded(row.summary))),
        environment=RunEnvironment.read(visible(decoded(row.environment))),
        notices=tuple(text for text in facts.usable_texts(decoded(row.notices)) if not is_old_finding(text)),
        number=row.number,
        findings=tuple(Finding.from_dict(values) for values in decoded(row.findings) or ()),
        saved=_saved_result(row),
        pause_epoch=row.pause_epoch,
        queued_at=facts.moment_or_nan(row.queued_at),
        owner=row.owner,
        priority=row.priority,
        executor=row.executor,
        heartbeat_age_s=None if responding else heartbeat_age(row, moment=moment),
    )


def _without_values(row: Row[Any], problem: str, *, known: bool = False) -> RunRecord:
    """Return the record of a row whose values are not shown. known: its name and time of creation are valid."""
    return RunRecord(
        id=str(row.id),
        name=row.name if known else "",
        config=RunConfig(),
        fingerprint="",
        family="",
        state=RunState.FAILED,
        requested=RunRequest.RUN,
        responding=True,
        reason=problem,
        lease=0,
        attempts=0,
        created_at=float(row.created_at) if known else 0.0,
        started_at=None,
        finished_at=None,
        seconds=0.0,
        device="",
        parent=None,
        origin="",
        pinned=False,
        note="",
        tags=(),
        notices=(),
        number=row.number if isinstance(row.number, int) else 0,
        problem=problem,
    )


def decoded(value: Any) -> Any:
    """Return the value of a JSON column read through `checksums.raw_columns`; SQLite yields text, Postgres a value."""
    return decode_json(value) if isinstance(value, str) else value


def _saved_result(row: Row[Any]) -> HeadlineResult | None:
    if row.weights_step is None:
        return None
    stored = {name: getattr(row, name) for name in METRICS}
    # SQLite's RETURNING yields an int for a whole number in a REAL column.
    metrics = {name: float(value) for name, value in stored.items() if RunSummary.kind(name).fits(value)}
    return HeadlineResult(
        step=row.weights_step, epoch=row.weights_epoch, which=row.weights_which or "", saved=True, **metrics
    )


def saved_file_values(file: SavedFile) -> dict[str, Any]:
    """Return the columns of `kept` that hold a record; `record_of` reads them back."""
    return {each.name: getattr(file, each.name) for each in fields(file)}


def record_of(kind: type[_Record], row: Row[Any]) -> _Record:
    """Build a record whose fields are columns of the row, under the same names."""
    return kind(**{each.name: getattr(row, each.name) for each in fields(kind)})  # type: ignore[arg-type]
