"""Findings of stored runs, computed from their points: the only module that uses both `lab.diagnosis` and the store.

The recorder diagnoses a run while it trains. Two kinds of runs have no findings yet: imported ones, and those of
earlier releases, which wrote findings among their notices and never revised them. They are diagnosed here, once.
"""

import time
from collections.abc import Sequence

from lab.data.registry import get_dataset_spec
from lab.diagnosis.curves import DataFacts
from lab.diagnosis.rules import diagnose_run
from lab.errors import LabError, StoreBusyError, UnknownNameError
from lab.findings import Finding
from lab.runs.records import RunRecord
from lab.runs.store import RunStore

OPENING_BUDGET_S = 2.0  # time for older runs when a store is opened; an idle worker diagnoses the rest
_PART = 20  # runs written in one transaction
_SAMPLE = 200_000  # points of a curve that findings are computed from; more do not change means and trends
_CLASSES = 10  # assumed for a data set that this release does not know


def diagnose_stored_run(store: RunStore, run: RunRecord) -> tuple[Finding, ...]:
    """Return the findings that follow from a run's settings and stored points."""
    facts = DataFacts.from_environment(run.environment.as_dict(), classes=_classes(run.config.dataset))
    return diagnose_run(run.config, store.points.sample(run.id, limit=_SAMPLE), facts, ended=run.state.over)


def _classes(dataset: str) -> int:
    try:
        return len(get_dataset_spec(dataset).classes)
    except UnknownNameError:
        return _CLASSES


def fill_missing_findings(store: RunStore, *, budget_s: float, ids: Sequence[str] | None = None) -> int:
    """Diagnose ended runs without findings, newest first, until the budget is spent; return how many were diagnosed.

    budget_s: in seconds. ids: only these runs. Returns early if the store is busy or read-only.
    """
    if store.read_only:
        return 0
    end, count, before = time.monotonic() + budget_s, 0, None
    try:
        while time.monotonic() < end and (
            found := store.findings.list_without_findings(limit=_PART, before=before, ids=ids)
        ):
            diagnosed = _diagnose_all(store, [run for _, run in found], end=end)
            store.findings.fill(diagnosed)
            count, before = count + len(diagnosed), found[-1][0]
    except StoreBusyError:
        return count
    return count


def _diagnose_all(store: RunStore, ids: Sequence[str], *, end: float) -> dict[str, tuple[Finding, ...]]:
    diagnosed = {}
    for run in ids:
        try:
            diagnosed[run] = diagnose_stored_run(store, store.runs.get(run))
        except (LabError, ValueError, TypeError, KeyError):  # a damaged row, which is reported when the run is opened
            continue
        if time.monotonic() > end:
            break
    return diagnosed
