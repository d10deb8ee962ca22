"""How a configuration is checked, written, read back and identified, whatever its fields are.

Stored configurations outlive the fields: `from_dict` brings those of older releases up to date (`upgrades`), and `digest`
knows every setting by its first name and leaves out what is as it was before the setting existed (`identity`).
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from lab.config.fields import FieldSpec, build_specs, shown
from lab.config.identity import digest
from lab.config.upgrades import UPGRADES, Upgrade, upgrade
from lab.errors import ConfigError, near_miss


class ConfigBase:
    """A frozen, self-checking, JSON-safe record; subclasses are dataclasses that declare its fields with `setting`."""

    __slots__ = ()
    upgrades: ClassVar[tuple[Upgrade, ...]] = UPGRADES
    _specs: ClassVar[dict[str, FieldSpec]]

    @classmethod
    def specs(cls) -> dict[str, FieldSpec]:
        """Return the specs of all fields by name, in their order."""
        found: dict[str, FieldSpec] | None = cls.__dict__.get("_specs")
        if found is None:  # once a class: a list of runs reads thousands of configurations
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
        """Raise `ConfigError` for values that are valid one by one but not together; subclasses override it."""

    def as_dict(self) -> dict[str, Any]:
        """Return every field, JSON-safe, with the schema number."""
        return {"schema": self.schema(), **{name: getattr(self, name) for name in self.specs()}}

    def changed(self) -> dict[str, Any]:
        """Return only the fields that differ from the defaults."""
        return {n: getattr(self, n) for n, s in self.specs().items() if getattr(self, n) != s.default}

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed."""
        return self.from_dict({**self.as_dict(), **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from JSON values.

        With a `schema` it is a stored configuration: it is upgraded, and settings that it does not have yet take their
        neutral values. Without, it is a new request, and absent settings take today's defaults.
        Unknown fields and newer schemas raise `ConfigError`.
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
        """Reset settings that have no effect in combination with the others to their defaults.

        Two configurations that must give the same result are then equal, and so are their fingerprints.
        """
        return self.replace(**{s.name: s.default for s in self.specs().values() if not s.relevant(self)})

    def digest(self, *, data_checksum: str, without: tuple[str, ...] = ()) -> str:
        """Return the SHA-256 of what decides the result: settings, data set checksum and engine version.

        `without` leaves fields out, such as "epochs" to find the shorter runs that this one continues.
        """
        return digest(self, self.specs(), data_checksum=data_checksum, without=without)
