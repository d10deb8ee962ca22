"""Checking, serialising, loading and fingerprinting of configurations, independent of their fields.

Stored configurations outlive the fields. `from_dict` upgrades those of older releases (`upgrades`), and `digest` uses
the first name of every setting and omits newer settings that have their neutral value (`identity`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from lab.config.fields import FieldSpec, build_specs, shown
from lab.config.identity import digest
from lab.config.upgrades import UPGRADES, Upgrade, upgrade
from lab.errors import ConfigError, near_miss


class ConfigBase:
    """A frozen, self-checking, JSON-safe record. Subclasses are dataclasses that declare fields with `setting`."""

    __slots__ = ()
    upgrades: ClassVar[tuple[Upgrade, ...]] = UPGRADES
    _specs: ClassVar[dict[str, FieldSpec]]

    @classmethod
    def specs(cls) -> dict[str, FieldSpec]:
        """Return the specs of all fields by name, in order."""
        found: dict[str, FieldSpec] | None = cls.__dict__.get("_specs")
        if found is None:  # cached per class, because a list of runs reads thousands of configurations
            found = build_specs(cls)
            cls._specs = found
        return found

    @classmethod
    def schema(cls) -> int:
        """Return the number of the schema that `as_dict` writes."""
        return 1 + len(cls.upgrades)

    def __post_init__(self) -> None:
        for spec in self.specs().values():
            object.__setattr__(self, spec.name, spec.check(getattr(self, spec.name)))
        self.check_together()

    def check_together(self) -> None:
        """Raise `ConfigError` for values that are valid individually but not together; subclasses override it."""

    def as_dict(self) -> dict[str, Any]:
        """Return all fields and the schema number as JSON-safe values."""
        return {"schema": self.schema(), **{name: getattr(self, name) for name in self.specs()}}

    def changed(self) -> dict[str, Any]:
        """Return only the fields that differ from the defaults."""
        return {n: getattr(self, n) for n, s in self.specs().items() if getattr(self, n) != s.default}

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with these fields changed."""
        return self.from_dict({**self.as_dict(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration from JSON values.

        Values with a `schema` are a stored configuration: they are upgraded, and missing settings get their neutral
        values. Values without one are a new request, and missing settings get the current defaults. Raises
        `ConfigError` for unknown fields and newer schemas.
        """
        given = dict(values)
        specs = cls.specs()
        if "schema" in given:
            given = upgrade(given, cls.upgrades)
            given = {**{name: spec.neutral for name, spec in specs.items()}, **given}
        for name in given:
            if name not in specs:
                raise ConfigError(f"There is no setting {shown(name)}. {near_miss(str(name), specs)}", field=str(name))
        return cls(**given)

    def normalised(self) -> Self:
        """Return a copy in which settings that have no effect in combination with the others have their defaults.

        Two configurations that must give the same result are then equal, and so are their fingerprints.
        """
        return self.replace(**{s.name: s.default for s in self.specs().values() if not s.relevant(self)})

    def digest(self, *, data_checksum: str, without: tuple[str, ...] = ()) -> str:
        """Return the SHA-256 of everything that determines the result: settings, data set checksum and engine version.

        without: fields to omit, such as "epochs" to find the shorter runs that this one continues.
        """
        return digest(self, self.specs(), data_checksum=data_checksum, without=without)
