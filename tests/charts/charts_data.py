"""Runs and curves for the tests of charts."""

from typing import Any

import numpy as np

from lab.charts.overlay import RunCurves
from lab.config import RunConfig
from lab.runs.records import RunRecord, RunRequest, RunState, Series
from lab.runs.run_facts import RunProgress, RunSummary


def run(
    number: int = 1,
    *,
    name: str = "",
    summary: dict[str, Any] | None = None,
    seconds: float = 10.0,
    state: RunState = RunState.FINISHED,
    **config: Any,
) -> RunRecord:
    """Return a finished run of LeNet-5 on the digits, with these settings changed."""
    return RunRecord(
        id=f"{number:012x}"[::-1],
        name=name,
        config=RunConfig(dataset="digits").replace(**config),
        fingerprint="f",
        family="",
        state=state,
        requested=RunRequest.RUN,
        responding=True,
        reason="",
        lease=1,
        attempts=1,
        created_at=1000.0,
        started_at=2000.0,
        finished_at=3000.0,
        seconds=seconds,
        device="cpu",
        parent=None,
        origin="local",
        pinned=False,
        note="",
        tags=(),
        progress=RunProgress(steps_per_epoch=10),
        summary=RunSummary.from_dict(summary or {}),
        number=number,
    )


def series(name: str, values: Any, *, first: int = 1, every: int = 1) -> Series:
    """Return a series with one value every `every` steps, from step `first` on; a step takes half a second."""
    step = first + every * np.arange(len(values))
    return Series(name, step.astype(np.int64), np.asarray(values, dtype=np.float64), step * 0.5)


def curves(record: RunRecord, **points: Any) -> RunCurves:
    """Return a run with series; `val_loss=[…]` has one value every ten steps, `batch_loss=[…]` one per step."""
    made = {}
    for key, values in points.items():
        name = key.replace("_", "/", 1)
        made[name] = series(name, values) if name.startswith("batch") else series(name, values, first=10, every=10)
    return RunCurves(record, made)
