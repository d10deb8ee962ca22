"""Upgrades configurations stored by older releases to the current schema, one numbered step at a time.

Entry n - 1 of `UPGRADES` converts values of schema n to schema n + 1: it renames a field, rewrites a choice, or drops a
removed field. Once released, an upgrade is never edited, and it calls no code that may change. A new setting needs no
upgrade, because stored configurations without it get its neutral value.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from lab.config.fields import shown
from lab.errors import ConfigError

Values: TypeAlias = dict[str, Any]
Upgrade: TypeAlias = Callable[[Values], Values]

UPGRADES: tuple[Upgrade, ...] = ()


def upgrade(values: Mapping[str, Any], upgrades: tuple[Upgrade, ...] = UPGRADES) -> Values:
    """Return the values in the current schema, without its number. Raises `ConfigError` for an invalid or newer one."""
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
