"""What a table of runs says: the settings in which they differ, and their results. Numbers and text, no format yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.config import FIELDS
from lab.runs.headline import METRICS
from lab.runs.records import RunRecord

Cell: TypeAlias = str | int | float | None

# Key, heading. Accuracies and losses are the headline's: those of the weights that answer, of the epoch in `EPOCH`.
RESULTS = (
    ("params", "parameters"),
    ("best_epoch", "best epoch"),
    ("val_loss", "validation loss"),
    ("val_accuracy", "validation accuracy"),
    ("test_loss", "test loss"),
    ("test_accuracy", "test accuracy"),
    ("seconds", "seconds"),
    ("images_per_second", "images per second"),
)

EPOCH = "epoch of the results"


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of equal length; text cells are the user's and must be escaped by whoever writes them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def differing_settings(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the settings that are not the same in all runs, with each run's value; none for a single run."""
    found = {}
    for name in FIELDS:
        values = [getattr(run.config, name) for run in runs]
        if any(value != values[0] for value in values):
            found[name] = values
    return found


def setting_text(value: Any) -> Cell:
    """Return a setting as a cell: numbers stay numbers, options become `name=value` words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in sorted(value.items()))
    return value  # type: ignore[no-any-return]


def result_of(run: RunRecord, key: str) -> Cell:
    """Return one result of a run, None where there is none (yet)."""
    if key in METRICS:
        value: object = getattr(run.headline, key)
    else:
        value = run.seconds if key == "seconds" else run.summary.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def last_result_of(run: RunRecord, key: str) -> Cell:
    """Return one result of a run's last whole epoch, which the lab reports quote; None where there is none (yet)."""
    value = getattr(run.last_result, key) if key in METRICS else run.summary.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def comparison_table(runs: Sequence[RunRecord]) -> Table:
    """Return one row a run: name, id, state, network, data set, what differs, results and the epoch they are of."""
    settings = {
        name: values for name, values in differing_settings(runs).items() if name not in ("arch", "dataset", "keep_mb")
    }
    results = {key: title for key, title in RESULTS if key != "best_epoch"}
    columns = ("name", "run", "state", "network", "data set", *settings, EPOCH, *results.values())
    rows = []
    for index, run in enumerate(runs):
        what = (run.name, run.id, run.status, run.config.arch, run.config.dataset)
        differs = tuple(setting_text(values[index]) for values in settings.values())
        rows.append((*what, *differs, run.epoch_text or None, *(result_of(run, key) for key in results)))
    return Table(columns, tuple(rows))
