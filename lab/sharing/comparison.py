"""What a table of runs says: the settings in which they differ, and their results. Numbers and text, no format yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.config import FIELDS
from lab.runs.records import RunRecord

Cell: TypeAlias = str | int | float | None

# key of the summary (or "seconds"), heading
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
    value = run.seconds if key == "seconds" else run.summary.get(key)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def comparison_table(runs: Sequence[RunRecord]) -> Table:
    """Return one row a run: name, id, state, network, data set, what differs, results."""
    settings = {
        name: values for name, values in differing_settings(runs).items() if name not in ("arch", "dataset", "keep_mb")
    }
    columns = ("name", "run", "state", "network", "data set", *settings, *(title for _, title in RESULTS))
    rows = []
    for index, run in enumerate(runs):
        what = (run.name, run.id, run.status, run.config.arch, run.config.dataset)
        differs = tuple(setting_text(values[index]) for values in settings.values())
        rows.append((*what, *differs, *(result_of(run, key) for key, _ in RESULTS)))
    return Table(columns, tuple(rows))
