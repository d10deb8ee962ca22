"""The reports' tables: the results printed in a report next to those that this lab measured with the same settings.

A run counts for an experiment if its configuration equals that of the preset as the lab would run it, whatever its
seed. The reports quote the last epoch of a training, so the measured accuracy is that of the last epoch too. If a
report tested every epoch and quotes the highest accuracy, `quoted_epoch` is the epoch it came from.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lab.config import RunConfig
from lab.config.repeats import setting_key
from lab.presets import Preset, list_presets
from lab.runs.records import RunRecord, RunState
from lab.sharing.comparison import Table, last_result_of
from lab.spread import Spread, spread_of


class RunFinder(Protocol):
    """The part of `RunStore.runs` that this module uses."""

    def find_settings(self, configs: Sequence[RunConfig]) -> Mapping[str, tuple[RunRecord, ...]]:
        """Return, by `setting_key`, the runs that differ from one of `configs` in seed or fold only, or not at all."""
        ...


class ReportRow(NamedTuple):
    """One experiment. config: the preset's configuration as the lab would run it. finished, waiting: its runs.

    test_accuracy (a share) and last_loss (training loss) are those of the last epoch, whose number is `stopped_epoch`.
    seconds: training time.
    """

    preset: Preset
    config: RunConfig
    finished: tuple[RunRecord, ...]
    waiting: tuple[RunRecord, ...]
    test_accuracy: Spread | None
    last_loss: Spread | None
    seconds: Spread | None
    stopped_epoch: Spread | None

    @property
    def last_epoch(self) -> str:
        """The epoch in which the finished runs ended, such as "5" or "17–21"; "" if unknown."""
        ends = sorted({run.last_result.epoch for run in self.finished if run.last_result.epoch is not None})
        return "–".join(str(end) for end in dict.fromkeys((ends[0], ends[-1]))) if ends else ""

    @property
    def quoted_epoch(self) -> int | None:
        """The epoch (from 1) that the report quotes, if it tested every epoch and quotes the highest, else None."""
        every, quoted = self.preset.reported.test_accuracy_by_epoch, self.preset.reported.test_accuracy
        return every.index(quoted) + 1 if quoted in every else None

    @property
    def missing(self) -> bool:
        """Whether the experiment has no finished run and none queued, running or paused."""
        return not self.finished and not self.waiting


def report_rows(report: str, *, check: Callable[[RunConfig], RunConfig], runs: RunFinder) -> tuple[ReportRow, ...]:
    """Return the experiments of one report (a key of `REPORTS`) in the report's order.

    check: resolves and checks a configuration (`lab.service.validation`).
    """
    asked = [(preset, check(preset.config())) for preset in list_presets(report)]
    found = runs.find_settings([config for _, config in asked])
    return tuple(_row(preset, config, found.get(setting_key(config), ())) for preset, config in asked)


def _row(preset: Preset, config: RunConfig, runs: Sequence[RunRecord]) -> ReportRow:
    finished = tuple(run for run in runs if run.state is RunState.FINISHED)
    return ReportRow(
        preset=preset,
        config=config,
        finished=finished,
        waiting=tuple(run for run in runs if run.state.live or run.state is RunState.PAUSED),
        test_accuracy=spread_of(last_result_of(run, "test_accuracy") for run in finished),
        last_loss=spread_of(last_result_of(run, "train_loss") for run in finished),
        seconds=spread_of(run.seconds for run in finished),
        stopped_epoch=spread_of(last_result_of(run, "epochs") for run in finished),
    )


_COLUMNS = (
    "experiment",
    "network",
    "reported accuracy",
    "measured accuracy (last epoch)",
    "reported last loss",
    "measured last loss",
    "reported seconds",
    "measured seconds",
    "n",
    "mistake",
)


def report_cells(rows: Sequence[ReportRow]) -> Table:
    """Return the table as cells, for the CLI and for files: accuracies as shares, means if n is above 1."""
    return Table(_COLUMNS, tuple(_cells(row) for row in rows))


def _cells(row: ReportRow) -> tuple[Any, ...]:
    reported = row.preset.reported
    return (
        row.preset.title,
        row.config.arch,
        reported.test_accuracy,
        _mean(row.test_accuracy),
        reported.last_loss,
        _mean(row.last_loss),
        reported.seconds,
        _mean(row.seconds),
        len(row.finished),
        row.preset.mistake or None,
    )


def _mean(spread: Spread | None) -> float | None:
    return None if spread is None else spread.mean
