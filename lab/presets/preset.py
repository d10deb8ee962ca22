"""A preset and the results in its report, as records."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lab.config import RunConfig

OWN = "lab"  # in place of a report: the lab's own presets


@dataclass(frozen=True, slots=True)
class Reported:
    """The results in a report; those that it does not state have their default. Accuracies are shares.

    seconds: of training, on the report's GPU. last_loss: training loss of the last epoch. stopped_epoch: the epoch in
    which early stopping ended the training.
    """

    test_accuracy: float | None = None
    test_accuracy_by_epoch: tuple[float, ...] = ()
    seconds: float | None = None
    last_loss: float | None = None
    stopped_epoch: int | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the results that the report states."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) != each.default}


@dataclass(frozen=True, slots=True)
class Preset:
    """One experiment: `changes` to the default configuration and the results `reported` for it.

    report: its letter, or `OWN`. ours: the settings that the report does not specify.
    """

    id: str
    report: str
    title: str
    changes: Mapping[str, Any]
    reported: Reported = Reported()
    mistake: str = ""
    ours: str = ""

    @property
    def full_title(self) -> str:
        """The title after its report, as in lists of all reports: "Report B · The same at lr 0.01"."""
        return self.title if self.report == OWN else f"Report {self.report} · {self.title}"

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of its runs: the report that it belongs to."""
        return () if self.report == OWN else (f"report-{self.report.lower()}",)

    def config(self, **changes: Any) -> RunConfig:
        """Return the preset's configuration with these settings changed."""
        return RunConfig.from_dict({**self.changes, **changes})
