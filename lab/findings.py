"""Findings about a run, and the outcome that follows from them.

Records only, without torch or the store: `lab.diagnosis` examines a run's settings and curves, `lab.runs` stores the
findings, and pages and exports show them. Only this module maps a finding's code to an outcome.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

SEVERITIES = ("mistake", "warning", "hint")
# The codes of the findings that determine a run's outcome.
DIVERGED = "diverged"
AT_CHANCE = "at-chance"


class Outcome(StrEnum):
    """How a run failed to learn although it finished."""

    DIVERGED = "diverged"
    AT_CHANCE = "no better than guessing"


OUTCOMES = {DIVERGED: Outcome.DIVERGED, AT_CHANCE: Outcome.AT_CHANCE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement about a run or its settings.

    code: id of the rule. severity: "mistake", "warning" or "hint". message: one or two sentences, true at the time of
    writing; numbers name their epoch. remedy: the settings to change, empty if no setting would help.
    """

    code: str
    severity: str
    message: str
    remedy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome that this finding implies for its run, if any."""
        return OUTCOMES.get(self.code)

    def as_dict(self) -> dict[str, Any]:
        """Return the finding as a JSON-safe dictionary."""
        return {"code": self.code, "severity": self.severity, "message": self.message, "remedy": dict(self.remedy)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Finding":
        """Build a finding from `as_dict()`. Raises `KeyError`, `TypeError` or `ValueError` for other values."""
        code, severity, message, remedy = (values[name] for name in ("code", "severity", "message", "remedy"))
        texts = isinstance(code, str) and isinstance(message, str)
        if not texts or severity not in SEVERITIES or not isinstance(remedy, Mapping):
            raise ValueError("not a finding")
        return cls(code, severity, message, dict(remedy))


def outcome_of(findings: Iterable[Finding]) -> Outcome | None:
    """Return the outcome that a run's findings imply, or None if it learned."""
    return next((finding.outcome for finding in findings if finding.outcome), None)
