"""Stored text as it may be shown: an older release, another program or a damaged page may have written anything."""

from dataclasses import replace
from typing import Any

from lab.runs.records import RunRecord
from lab.runs.run_facts import RunFacts
from lab.text import escaped


def with_visible_text(run: RunRecord) -> RunRecord:
    """Return the record with every hidden character in its texts written as an escape, for pages, CLI and exports."""
    lines = {name: _visible(getattr(run, name), lines=True) for name in ("note", "reason", "notices")}
    words = {name: _visible(getattr(run, name)) for name in ("name", "tags", "device", "origin")}
    facts = {name: _visible_facts(getattr(run, name)) for name in ("progress", "summary", "environment")}
    changed = {n: value for n, value in {**lines, **words, **facts}.items() if value != getattr(run, n)}
    return replace(run, **changed) if changed else run


def _visible_facts(facts: RunFacts) -> RunFacts:
    written = facts.as_dict()
    seen = _visible(written)
    return facts if seen == written else type(facts).from_dict(seen)


def _visible(value: Any, *, lines: bool = False) -> Any:
    if isinstance(value, str):
        return escaped(value, lines=lines)
    if isinstance(value, dict):
        return {_visible(key): _visible(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_visible(item, lines=lines) for item in value)
    return value
