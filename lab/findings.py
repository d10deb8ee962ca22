"""What the lab says about a run: findings, and the outcome that follows from them.

Records only, without torch and store: `lab.diagnosis` judges a run's settings and curves, `lab.runs` stores what it
found, pages and exports show it. A finding's code decides the outcome here and nowhere else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SEVERITIES = ("mistake", "warning", "hint")
DIVERGED = "diverged"  # codes of the findings that decide a run's outcome
AT_CHANCE = "at-chance"


class Outcome(StrEnum):
    """What became of a run that finished without having learned."""

    DIVERGED = "diverged"
    AT_CHANCE = "no better than guessing"


_OUTCOMES = {DIVERGED: Outcome.DIVERGED, AT_CHANCE: Outcome.AT_CHANCE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about a run or its settings.

    code: names the rule. severity: "mistake", "warning" or "hint". message: one sentence or two, true when it was
    written; numbers name their epoch. remedy: the settings to change, empty where no setting would help.
    """

    code: str
    severity: str
    message: str
    remedy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome that this finding gives its run, if any."""
        return _OUTCOMES.get(self.code)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as JSON values."""
        return {"code": self.code, "severity": self.severity, "message": self.message, "remedy": dict(self.remedy)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Finding":
        """Build from `as_dict()`; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        code, severity, message, remedy = (values[name] for name in ("code", "severity", "message", "remedy"))
        texts = isinstance(code, str) and isinstance(message, str)
        if not texts or severity not in SEVERITIES or not isinstance(remedy, Mapping):
            raise ValueError("not a finding")
        return cls(code, severity, message, dict(remedy))


def outcome_of(findings: Iterable[Finding]) -> Outcome | None:
    """Return the outcome that the findings of a run give it, None where it learned."""
    return next((finding.outcome for finding in findings if finding.outcome), None)
