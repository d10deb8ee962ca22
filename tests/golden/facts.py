"""A store's facts about its runs and sweeps as JSON values, with floats in hexadecimal so that no bit is lost."""

from typing import Any

from lab.service.lab import Lab


def _exact(value: Any) -> Any:
    return value.hex() if isinstance(value, float) else value


def run_facts(lab: Lab, id: str) -> dict[str, Any]:
    """Return the stored facts of a run that is not deleted, of its curves and its saved weights."""
    run = lab.store.runs.get(id)
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state.value,
        "config": run.config.as_dict(),
        "fingerprint": run.fingerprint,
        "family": run.family,
        "parent": run.parent,
        "note": run.note,
        "tags": list(run.tags),
        "pinned": run.pinned,
        "origin": run.origin,
        "owner": run.owner,
        "priority": run.priority,
        "findings": [finding.code for finding in run.findings],
        "headline": [run.headline.which, run.headline.epoch, _exact(run.headline.test_accuracy)],
        "summary": {name: _exact(value) for name, value in run.summary.as_dict().items()},
        "notices": list(run.notices),
        "series": {
            name: {"count": len(s.step), "last_step": int(s.step[-1]), "last": float(s.value[-1]).hex()}
            for name, s in lab.store.points.read(id).items()
        },
        "weights": [[file.epoch, file.step, file.sha256, file.bytes] for file in lab.weights.list(id)],
    }


def sweep_facts(lab: Lab, id: str) -> dict[str, Any]:
    """Return the stored facts of a sweep: its state, and each trial's state, rung, settings and measured values."""
    view = lab.sweeps.show(id)
    return {
        "name": view.sweep.name,
        "state": view.sweep.state.value,
        "trials": [
            {
                "run": trial.run,
                "state": trial.state.value,
                "rung": trial.rung,
                "params": {name: _exact(value) for name, value in trial.params.items()},
                "values": [[value.epoch, value.val_loss.hex(), value.val_accuracy.hex()] for value in trial.values],
            }
            for trial in view.trials
        ],
    }
