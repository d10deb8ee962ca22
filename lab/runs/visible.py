"""Stored text made safe to show: an older release, another program or a damaged page may have written anything."""

from dataclasses import replace
from typing import Any

from lab.runs.records import RunRecord
from lab.text import escaped


def with_visible_text(run: RunRecord) -> RunRecord:
    """Return the record with every hidden character in its texts replaced by an escape, for pages, CLI and exports."""
    lines = {name: visible(getattr(run, name), lines=True) for name in ("note", "reason", "notices")}
    words = {name: visible(getattr(run, name)) for name in ("name", "tags", "device", "origin", "owner")}
    changed = {n: value for n, value in {**lines, **words}.items() if value != getattr(run, n)}
    return replace(run, **changed) if changed else run


def visible(value: Any, *, lines: bool = False) -> Any:
    """Return a stored value with every hidden character in its texts replaced by an escape, at any depth."""
    if isinstance(value, str):
        return escaped(value, lines=lines)
    if isinstance(value, dict):
        return {visible(key): visible(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(visible(item, lines=lines) for item in value)
    return value
