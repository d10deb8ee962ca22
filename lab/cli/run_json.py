"""One run in the JSON output of the command line."""

from typing import Any

from lab.runs.records import RunRecord


def as_dict(run: RunRecord) -> dict[str, Any]:
    """Return one run as a JSON object."""
    return {
        "run": run.id,
        "name": run.name,
        "state": run.state.value,
        "outcome": run.status,
        "responding": run.responding,
        "heartbeat_age_s": run.heartbeat_age_s,
        "reason": run.reason,
        "arch": run.config.arch,
        "dataset": run.config.dataset,
        "epochs": run.config.epochs,
        "seconds": run.seconds,
        "device": run.device,
        "created_at": run.created_at,
        "finished_at": run.finished_at,
        "parent": run.parent,
        "owner": run.owner,
        "priority": run.priority,
        "tags": list(run.tags),
        "note": run.note,
        "notices": list(run.notices),
        "summary": run.summary.as_dict(),
        "findings": [finding.as_dict() for finding in run.findings],
        "headline": run.headline.as_dict(),
    }


def as_listed(run: RunRecord) -> dict[str, Any]:
    """Return one run of a list as a JSON object; an unreadable run has only its id and the reason."""
    return {"run": run.id, "state": "unreadable", "problem": run.problem} if run.problem else as_dict(run)
