"""Columns of `runs` that several parts of the store set in the same way."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from lab.runs.records import RunRequest, RunState
from lab.runs.tables import runs

SUMMARY_COLUMNS = ("best_epoch", "images_per_second")  # filled from the summary


def progress_values(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of `runs` that a progress report sets."""
    values: dict[str, Any] = {"progress": dict(progress)}
    if "seconds" in progress:
        values["seconds"] = float(progress["seconds"])
    return values


def queued_again(now: float) -> dict[str, Any]:
    """Return the columns of `runs` that queue a paused or ended run again."""
    queued = {"state": RunState.QUEUED, "want": RunRequest.RUN, "queued_at": now, "finished_at": None}
    return {**queued, "reason": "", "digest": ""}


def cache_key_if_free(connection: Connection, row: Row[Any]) -> dict[str, Any]:
    """Return the change that clears the row's cache key if another run has become the cached answer in the meantime."""
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


def plain_number(value: object) -> float | None:
    """Return a number for a sortable column, or None for anything else and for NaN."""
    return float(value) if isinstance(value, (int, float)) and value == value else None
