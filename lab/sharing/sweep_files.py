"""Sweeps as files for other programs: a table of the trials, and a journal that Optuna and Optuna Dashboard open."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import InputError, near_miss
from lab.lazy import load
from lab.sharing.tables import write_csv
from lab.sweeps.records import TrialRecord
from lab.sweeps.spec import SweepSpec


@dataclass(frozen=True, slots=True)
class SweepFormat:
    """One format. write: returns the file's bytes for the sweep's spec, name and trials."""

    id: str
    title: str
    extension: str
    write: Callable[[SweepSpec, str, Sequence[TrialRecord]], bytes]


def trials_csv(spec: SweepSpec, name: str, trials: Sequence[TrialRecord]) -> bytes:
    """Return one row per trial: its settings, its last measurement and the last decision about it."""
    del name
    params = list(dict.fromkeys([*(p.name for p in spec.space), *(key for one in trials for key in one.params)]))
    columns = (
        "trial",
        "run",
        *params,
        "epoch",
        "val_loss",
        "val_accuracy",
        "rung",
        "state",
        "source",
        "epochs",
        "seconds",
    )
    rows = [
        (
            trial.number,
            trial.run,
            *(_cell(trial.params, name) for name in params),
            None if trial.last is None else trial.last.epoch,
            None if trial.last is None else trial.last.val_loss,
            None if trial.last is None else trial.last.val_accuracy,
            trial.rung,
            trial.state.value,
            trial.source.value,
            trial.epochs,
            trial.seconds,
            trial.decision,
        )
        for trial in trials
    ]
    return ("\ufeff" + write_csv((*columns, "decision"), rows)).encode()


def _cell(params: Mapping[str, Any], name: str) -> Any:
    value = params.get(name)
    return json.dumps(value) if isinstance(value, dict | bool) else value


def optuna_journal(spec: SweepSpec, name: str, trials: Sequence[TrialRecord]) -> bytes:
    """Return the sweep as a study in an Optuna journal.

    Open it with `JournalStorage(JournalFileBackend(path))` or `optuna-dashboard path`.
    """
    write = load("lab.sweeps.optuna_study:write_journal")
    with tempfile.TemporaryDirectory(prefix="convlab-") as folder:
        path = Path(folder) / "journal.log"
        write(spec, name, trials, path)
        return path.read_bytes()


_ALL = (
    SweepFormat("csv", "Trials (CSV)", ".csv", trials_csv),
    SweepFormat("optuna", "Optuna journal, for Optuna Dashboard", ".log", optuna_journal),
)
SWEEP_FORMATS: dict[str, SweepFormat] = {one.id: one for one in _ALL}


def get_sweep_format(format: str) -> SweepFormat:
    """Return one format. Raises `InputError`, which suggests the nearest name, if it does not exist."""
    if format not in SWEEP_FORMATS:
        raise InputError(f"Sweeps have no format {format[:40]!r}. {near_miss(format, SWEEP_FORMATS)}")
    return SWEEP_FORMATS[format]
