"""The facts shown above a run's live charts: its progress while it trains, its results once it has ended, as texts."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lab.formatting import format_duration, format_percent, format_short
from lab.metrics import LEARNING_RATE
from lab.runs.headline import BEST, LAST, UNTESTED
from lab.runs.records import RunRecord, RunState
from lab.training.schedules import is_constant

_LARGE_LOSS = 1000  # above it, decimals are meaningless and the full number would be cut off
_EPOCH_LABELS = {BEST: "Best epoch", LAST: "Last epoch", UNTESTED: "Stopped in epoch"}


def has_results(run: RunRecord) -> bool:
    """Whether a run has ended with measured results."""
    return run.state is RunState.FINISHED or (not run.state.live and run.headline.test_accuracy is not None)


def live_facts(run: RunRecord, newest: Mapping[str, Sequence[Any]]) -> list[tuple[str, str]]:
    """Return the facts above the charts as (label, text) pairs; `newest` as in `lab.charts.live.live_payload`.

    Once a run has ended, its results replace the progress values in the same places, so that nothing moves on the page.
    """
    _, newest_rate = newest.get(LEARNING_RATE.id, (0, "–"))
    rate = f"{run.config.lr:.4g}" if is_constant(run.config) else newest_rate
    if has_results(run):
        if not is_constant(run.config):  # a schedule's last rate is close to 0 and says little about the run
            rate = f"{run.config.lr:.4g} ({run.config.schedule})"
        return [*_result_facts(run), ("Learning rate", rate), ("Epochs trained", _trained(run))]
    progress = run.progress
    epoch, total, speed = progress.epoch, progress.total_steps, progress.images_per_second
    is_running = run.state is RunState.RUNNING and run.responding
    stepped = bool(total) and progress.step == total  # only the last evaluation remains, which has no estimate
    return [
        (
            "Epoch",
            f"{epoch} of {run.config.epochs if progress.epochs is None else progress.epochs}"
            if epoch is not None
            else "–",
        ),
        ("Step", f"{progress.step or 0:,} of {total:,}" if total else "–"),
        ("Images per second", f"{speed:,.0f}" if speed and math.isfinite(speed) else "–"),
        ("Training time", format_duration(progress.seconds)),
        ("Time left", format_duration(progress.eta_seconds if is_running and not stepped else None)),
        ("Learning rate", rate),
        ("Status", str((is_running and not run.pausing and progress.phase) or run.status)),
    ]


def _result_facts(run: RunRecord) -> list[tuple[str, str]]:
    headline, params = run.headline, run.summary.params
    label = _EPOCH_LABELS.get(headline.which, "Epoch")
    return [
        ("Test accuracy", format_percent(headline.test_accuracy)),
        ("Validation accuracy", format_percent(headline.val_accuracy)),
        ("Test loss", _loss(headline.test_loss)),
        (label, f"{headline.epoch} of {run.config.epochs}" if headline.epoch else "–"),
        ("Training time", format_duration(run.seconds)),
        ("Parameters", f"{params:,}" if params is not None else "–"),
    ]


def _trained(run: RunRecord) -> str:
    """Return how many epochs an ended run trained, and whether it stopped early; its badge shows the rest."""
    if run.epochs_trained is None:
        return "–"
    return f"{run.epochs_trained} of {run.config.epochs}" + (" (stopped early)" if run.early_text else "")


def _loss(value: Any) -> str:
    if not isinstance(value, int | float):
        return "–"
    return f"{value:.4f}" if abs(value) < _LARGE_LOSS else format_short(value)


def run_marks(run: RunRecord) -> dict[str, Any]:
    """Return the JSON-safe state of a run that a live chart polls; when it changes, the page is rerun."""
    return {
        "run": run.id,
        "state": str(run.state),
        "status": run.status,
        "live": run.state.live,
        "device": run.device,
        "notices": len(run.notices),
        "findings": findings_mark(run),
    }


def findings_mark(run: RunRecord) -> str:
    """Return a digest that changes with a run's findings; a hint counts by its code, as its message names the epoch."""
    words = [finding.code if finding.severity == "hint" else finding.message for finding in run.findings]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
