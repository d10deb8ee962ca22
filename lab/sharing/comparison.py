"""Tables of runs, independent of a file format: the settings in which the runs differ, and their results.

`run_labels` labels runs by what differs within a selection; legends, chips, tables, reports and the CLI use it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lab.architectures.registry import arch_title, default_options, option_words
from lab.config import FIELDS, RunConfig
from lab.config.repeats import REPEATED, setting_key
from lab.data.registry import dataset_title
from lab.metrics import IMAGES_PER_SECOND
from lab.metrics import list_results as list_result_metrics
from lab.runs.headline import METRICS
from lab.runs.records import RunRecord
from lab.runs.repeated import are_folds
from lab.spread import Spread, format_result, spread_of

Cell: TypeAlias = str | int | float | None

EPOCH = "epoch of the results"
SPREAD_RESULTS = ("test_accuracy", "val_accuracy", "test_loss", "seconds", "images_per_second")  # shown with a spread
_SELF_EXPLAINING = ("arch", "arch_options", "dataset", "optimizer", "loss", "schedule")  # a label needs the value only
_TITLES = {"arch": arch_title, "dataset": dataset_title}  # settings whose values have titles in a registry
_FIRST = ("arch", "arch_options", "dataset", "lr", "optimizer")  # first in a label; `REPEATED` settings come last
LABEL_SETTINGS = 4  # maximum number of settings in one label
_ID_LETTERS = 4  # letters of the id, shown if nothing else distinguishes two runs


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and rows of equal length. Text cells are user input; whoever writes them must escape them."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def column(self, name: str) -> tuple[Cell, ...]:
        """Return the cells of the column with this heading."""
        at = self.columns.index(name)
        return tuple(row[at] for row in self.rows)


def differing_settings(runs: Sequence[RunRecord]) -> dict[str, list[Any]]:
    """Return the settings that differ between the runs, with each run's value; empty for a single run."""
    found = {}
    for name in FIELDS:
        values = [getattr(run.config, name) for run in runs]
        if any(value != values[0] for value in values):
            found[name] = values
    return found


def list_results() -> dict[str, str]:
    """Return the keys of a run's results with their headings.

    Metrics are those of the headline: of the selected weights, whose epoch is in the column `EPOCH`.
    """
    metrics = {metric.result_key: metric.title for metric in list_result_metrics()}
    counts = {"params": "parameters", "best_epoch": "best epoch"}
    return {**counts, **metrics, "seconds": "seconds", IMAGES_PER_SECOND.result_key: IMAGES_PER_SECOND.title}


def setting_text(value: Any) -> Cell:
    """Return a setting as a cell: numbers stay numbers, options become `name=value` text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in sorted(value.items()))
    return value  # type: ignore[no-any-return]


def setting_cell(name: str, value: Any) -> Cell:
    """Return a setting as a cell for display: networks, data sets, choices and special numbers become their titles."""
    text = setting_text(value)
    if name in _TITLES:
        return _TITLES[name](str(text))
    titles = FIELDS[name].choice_titles
    return titles.get(f"{text:g}", text) if isinstance(text, int | float) else titles.get(str(text), text)


def setting_words(name: str, value: Any) -> str:
    """Return a setting as display text: numbers with up to six digits, choices by their titles."""
    cell = setting_cell(name, value)
    return f"{cell:g}" if isinstance(cell, float) else FIELDS[name].choice_title(str(cell))


def config_words(config: RunConfig, name: str, *, options: Collection[str] = ()) -> str:
    """Return a setting of a configuration as display text: as `setting_words`, and the network's options by title.

    options: those of the network's options that are named even with their default.
    """
    value = getattr(config, name)
    if isinstance(value, dict):
        named = {name: default for name, default in default_options(config.arch).items() if name in options}
        return option_words(config.arch, {**named, **value})
    return setting_words(name, value)


def _cells(runs: Sequence[RunRecord], names: Iterable[str]) -> list[tuple[Cell, ...]]:
    """Return some settings of each run as cells for display."""
    options = set_options(runs)
    return [tuple(_config_cell(run.config, name, options) for name in names) for run in runs]


def _config_cell(config: RunConfig, name: str, options: Collection[str]) -> Cell:
    value = getattr(config, name)
    return config_words(config, name, options=options) if isinstance(value, dict) else setting_cell(name, value)


def set_options(runs: Iterable[RunRecord]) -> frozenset[str]:
    """Return the names of the networks' options that any of the runs has changed from its default."""
    return frozenset(name for run in runs for name in run.config.arch_options)


def setting_cells(runs: Sequence[RunRecord], name: str) -> list[Cell]:
    """Return one setting of several runs for charts: numbers stay numbers, options become display text."""
    options = set_options(runs)
    values = [getattr(run.config, name) for run in runs]
    return [
        setting_text(value) if isinstance(value, int | float) else config_words(run.config, name, options=options)
        for run, value in zip(runs, values, strict=True)
    ]


def result_of(run: RunRecord, key: str) -> Cell:
    """Return one result of a run, None if there is none (yet)."""
    if key in METRICS:
        value: object = getattr(run.headline, key)
    else:
        value = run.seconds if key == "seconds" else run.summary.value(key)
    return _number(value)


def _number(value: object) -> int | float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def spread_of_runs(runs: Sequence[RunRecord], key: str) -> Spread | None:
    """Return mean and spread of one result over several runs, None if none of them has it."""
    return spread_of((result_of(run, key) for run in runs), folds=are_folds(runs))


def last_result_of(run: RunRecord, key: str) -> Cell:
    """Return one result of a run's last complete epoch, as quoted by the lab reports; None if there is none (yet)."""
    value = getattr(run.last_result, key) if key in METRICS else run.summary.value(key)
    return _number(value)


def run_labels(runs: Sequence[RunRecord], *, without: Collection[str] = ()) -> list[str]:
    """Return a label for each run within this selection: its own name, else what differs, such as "lr 0.05, SGD".

    A value that most of three or more runs share is omitted, unless a run would have no label otherwise. Runs with the
    same name are distinguished by their settings, runs with identical settings by their ids. A single run without a
    name is labelled by network and data set. without: settings to omit.
    """
    names = Counter(_given_name(run) for run in runs)
    differing = sorted((n for n in differing_settings(runs) if FIELDS[n].result and n not in without), key=_rank)
    labels = []
    options = set_options(runs)
    usual = {name: _usual([getattr(run.config, name) for run in runs]) for name in differing}
    for run in runs:
        unusual = [name for name in differing if getattr(run.config, name) != usual[name]]
        name, words = _given_name(run), _setting_words(run, unusual or differing, options)
        parts = [name] if names[name] == 1 else [name, *words]
        labels.append(", ".join(parts if name else words) or _title(run))
    if without:
        return labels
    many = Counter(labels)
    return [
        f"{text} · {run.id[:_ID_LETTERS]}" if many[text] > 1 else text for text, run in zip(labels, runs, strict=True)
    ]


def _title(run: RunRecord) -> str:
    return f"{arch_title(run.config.arch)} on {dataset_title(run.config.dataset)}"


def _given_name(run: RunRecord) -> str:
    return run.name if run.name != run.config.arch else ""


def _usual(values: Sequence[Any]) -> Any:
    """Return the value that more than half of three or more runs share, None if there is none."""
    most = max(values, key=values.count)
    return most if len(values) > 2 and 2 * values.count(most) > len(values) else None


def _rank(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST) + (name in REPEATED)


def _setting_words(run: RunRecord, names: Sequence[str], options: Collection[str]) -> list[str]:
    words = [_short_words(run.config, name, options) for name in names if FIELDS[name].relevant(run.config)]
    return [*words[:LABEL_SETTINGS], "…"] if len(words) > LABEL_SETTINGS else words


def _short_words(config: RunConfig, name: str, options: Collection[str]) -> str:
    label, value = FIELDS[name].short_label, getattr(config, name)
    if isinstance(value, bool):
        return label if value else f"no {label}"
    shown = config_words(config, name, options=options)
    if name in _SELF_EXPLAINING:
        return shown or "default options"  # only `arch_options` can be empty
    return f"{label} {shown or '–'}"


def heading(column: str) -> str:
    """Return the heading of a column for display: a setting's label instead of its name."""
    return FIELDS[column].label.lower() if column in FIELDS else column


def comparison_table(runs: Sequence[RunRecord]) -> Table:
    """Return one row per run: label, id, state, network, data set, differing settings, and results with their epoch.

    A result that none of the runs has, such as a validation accuracy without validation, has no column.
    """
    settings = [name for name in differing_settings(runs) if name not in ("arch", "dataset", "keep_mb")]
    results = {
        key: title
        for key, title in list_results().items()
        if key != "best_epoch" and any(result_of(run, key) is not None for run in runs)
    }
    columns = ("name", "run", "state", "network", "data set", *settings, EPOCH, *results.values())
    rows = []
    labels, differs = run_labels(runs), _cells(runs, settings)
    for index, run in enumerate(runs):
        what = (labels[index], run.id, run.status, arch_title(run.config.arch), dataset_title(run.config.dataset))
        rows.append((*what, *differs[index], run.epoch_text or None, *(result_of(run, key) for key in results)))
    return Table(columns, tuple(rows))


def settings_table(runs: Sequence[RunRecord]) -> Table:
    """Return one row per setting: what its repeats have in common, and their results with mean and spread.

    Runs that have not ended count towards the number of runs, but not towards the results. A result that no run has
    has no column.
    """
    groups: dict[str, list[RunRecord]] = {}
    for run in runs:
        groups.setdefault(setting_key(run.config), []).append(run)
    firsts = [group[0] for group in groups.values()]
    left_out = ("arch", "dataset", "keep_mb", *REPEATED)
    settings = [name for name in differing_settings(firsts) if name not in left_out]
    results = [key for key in SPREAD_RESULTS if any(result_of(run, key) is not None for run in runs)]
    columns = ("name", "network", "data set", *settings, "runs", *(list_results()[key] for key in results))
    rows = []
    differs = _cells(firsts, settings)
    for index, (label, group) in enumerate(zip(run_labels(firsts, without=REPEATED), groups.values(), strict=True)):
        what = (label, arch_title(group[0].config.arch), dataset_title(group[0].config.dataset))
        ended = [run for run in group if not run.state.live]
        spreads = tuple(format_result(key, spread_of_runs(ended, key), of=len(group)) for key in results)
        rows.append((*what, *differs[index], len(group), *spreads))
    return Table(columns, tuple(rows))
