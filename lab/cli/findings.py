"""Findings on a terminal: each message with the command that trains again with the remedy."""

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from lab.config import FIELDS, RunConfig
from lab.runs.records import RunRecord

_WORDS = {"mistake": "Problem", "warning": "Warning", "hint": "Hint"}


def finding_lines(run: RunRecord) -> Iterator[str]:
    """Yield the lines to print for a run's findings."""
    for finding in run.findings:
        yield f"{_WORDS[finding.severity]}: {finding.message}"
        if finding.remedy:
            yield f"  Train again with: python -m lab train {train_flags(run.config, finding.remedy)}"


def train_flags(config: RunConfig, changes: Mapping[str, Any]) -> str:
    """Return the flags of `train` for a configuration with the given changes last, quoted for a shell."""
    unchanged = {name: value for name, value in config.changed().items() if name not in changes}
    words = [word for name, value in (unchanged | dict(changes)).items() for word in _flags(name, value)]
    return " ".join(map(shlex.quote, words))


def _flags(name: str, value: Any) -> list[str]:
    flag = FIELDS[name].flag
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, dict):
        return [word for option, item in value.items() for word in (flag, f"{option}={_option(item)}")]
    return [flag, f"{value!r}" if isinstance(value, float) else str(value)]


def _option(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) + ("," if len(value) == 1 else "")
    return str(value).lower() if isinstance(value, bool) else str(value)
