"""Findings of stored runs, made from their own points: the one place where `lab.diagnosis` meets the store.

The recorder diagnoses a run while it trains. Runs of earlier releases, which wrote findings among their notices and never
revised them, and imported runs have no findings yet: they are diagnosed here, once, from the points they have.
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

OPENING_BUDGET_S = 2.0  # what opening a store may spend on older runs; the rest waits for an idle worker
_PART = 20  # runs written in one transaction
_SAMPLE = 200_000  # points of a curve that its findings are made from: means and trends of more say the same
_CLASSES = 10  # of a data set that this release does not know


def diagnose_stored_run(store: RunStore, run: RunRecord) -> tuple[Finding, ...]:
    """Return what a run's settings and stored points say about it."""
    facts = DataFacts.from_environment(run.environment.as_dict(), classes=_classes(run.config.dataset))
    return diagnose_run(run.config, store.points.sample(run.id, limit=_SAMPLE), facts, ended=run.state.over)


def _classes(dataset: str) -> int:
    try:
        return len(get_dataset_spec(dataset).classes)
    except UnknownNameError:
        return _CLASSES


def fill_missing_findings(store: RunStore, *, budget_s: float, ids: Sequence[str] | None = None) -> int:
    """Diagnose ended runs that have no findings yet, the newest first, for about so long; return how many were diagnosed.

    ids: only these. A store that others keep busy, or that may not be written, is left for the next time.
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
        except (LabError, ValueError, TypeError, KeyError):  # a damaged row: opening the run says what is wrong
            continue
        if time.monotonic() > end:
            break
    return diagnosed
