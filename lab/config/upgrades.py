"""Brings configurations that older releases stored up to today's schema, one numbered step after the other.

Entry n - 1 of `UPGRADES` turns the values of schema n into those of schema n + 1: it renames a field, rewrites a choice,
or drops a field that is gone. It is never edited once released and does not call code that may change. A setting that is only
new needs no step: a stored configuration without it has its neutral value.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lab.config.fields import shown
from lab.errors import ConfigError

Values: TypeAlias = dict[str, Any]
Upgrade: TypeAlias = Callable[[Values], Values]

UPGRADES: tuple[Upgrade, ...] = ()


def upgrade(values: Mapping[str, Any], upgrades: tuple[Upgrade, ...] = UPGRADES) -> Values:
    """Return the values in the newest schema, without their schema number; a newer or wrong one raises `ConfigError`."""
    given = dict(values)
    found = given.pop("schema")
    newest = 1 + len(upgrades)
    if type(found) is not int or not 1 <= found <= newest:
        raise ConfigError(
            f"The configuration has schema {shown(found)}, but this release reads 1 to {newest}: "
            "update ConvLab to open it.",
            field="schema",
        )
    for step in upgrades[found - 1 :]:
        given = step(given)
    return given
