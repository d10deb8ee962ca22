"""Columns of `runs` that several parts of the store set in the same way."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row, select

from lab.runs.facts import plain_number
from lab.runs.records import RunRequest, RunState
from lab.runs.tables import CACHED, runs


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
    another = select(runs.c.id).where(runs.c.cache_key == row.cache_key, runs.c.id != row.id, CACHED)
    return {} if connection.execute(another).first() is None else {"cache_key": None}


def summary_columns(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the columns of `runs` that are sorted by and filled from the summary."""
    return {name: plain_number(summary.get(name)) for name in ("best_epoch", "images_per_second")}
