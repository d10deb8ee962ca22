"""Which executors this lab may use: `executors.toml` in the lab's home, read again whenever it is needed.

This is a file and not a set of environment variables, because pages, command line and supervisor are started in
different environments and must agree.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, get_args

from lab.errors import ConfigError, near_miss
from lab.executors.base import LOCAL
from lab.settings import Settings
from lab.system_errors import reason, remedy

FILE = "executors.toml"
MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class SlurmConfig:
    """options: for sbatch, such as "--partition=gpu". python: the interpreter on the nodes, "" for the lab's own.

    jobs: how many jobs of this lab may be at Slurm at once, including waiting ones. warning_s: how long before its time
    limit a job is asked to save a checkpoint.
    """

    TITLE: ClassVar = "Slurm"
    FEWEST_JOBS: ClassVar = 1

    options: tuple[str, ...] = ()
    python: str = ""
    cpus: int = 1
    gpus: int = 0
    jobs: int = 64
    warning_s: int = 120

    @property
    def most_jobs(self) -> int:
        """The largest number of jobs at once."""
        return self.jobs


@dataclass(frozen=True, slots=True)
class RayConfig:
    """address: of the dashboard, such as "http://10.0.0.1:8265". token: "" if the cluster requires none.

    python: the interpreter on the nodes. environment: variables for the workers. jobs: how many jobs may be at Ray at
    once; 0 for as many as the cluster has processors or GPUs for.
    """

    TITLE: ClassVar = "Ray"
    FEWEST_JOBS: ClassVar = 0

    address: str
    token: str = ""
    python: str = "python3"
    cpus: int = 1
    gpus: int = 0
    jobs: int = 0
    environment: Mapping[str, str] | None = None

    @property
    def most_jobs(self) -> int:
        """The largest number of jobs at once."""
        return self.jobs or MAX_JOBS


@dataclass(frozen=True, slots=True)
class Executors:
    """The configured executors by id, which is also the section in the file; None for one that is not configured."""

    slurm: SlurmConfig | None = None
    ray: RayConfig | None = None

    @property
    def configured(self) -> dict[str, SlurmConfig | RayConfig]:
        """The configurations by id."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {id: config for id, config in found.items() if config is not None}

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the executors, without the lab's own slots."""
        return tuple(self.configured)

    def most_jobs(self, executor: str) -> int:
        """Return the largest number of jobs at an executor at once; 0 if it is not configured."""
        config = self.configured.get(executor)
        return 0 if config is None else config.most_jobs

    def check(self, executor: str) -> str:
        """Return an executor's id in the store, "" for the lab's own slots. Raises `ConfigError` for an unknown one."""
        if executor in ("", LOCAL):
            return ""
        if executor not in TITLES:
            raise ConfigError(f"There is no executor {executor[:40]!r}. {near_miss(executor, (LOCAL, *TITLES))}")
        if executor not in self.ids:
            raise ConfigError(
                f"This lab has no {TITLES[executor]}: add a section [{executor}] to {FILE} in its home (docs/scale.md)."
            )
        return executor


_KINDS: dict[str, type[SlurmConfig] | type[RayConfig]] = {
    each.name: get_args(each.type)[0] for each in fields(Executors)
}
TITLES = {id: kind.TITLE for id, kind in _KINDS.items()}


def title_of(executor: str) -> str:
    """Return an executor's display name."""
    return TITLES.get(executor, executor) if executor not in ("", LOCAL) else "this lab's slots"


def config_path(settings: Settings) -> Path:
    """Return the path of the file that configures the executors."""
    return settings.home / FILE


def read_executors(settings: Settings) -> Executors:
    """Return the executors that the lab's file configures; none if there is no file. Raises `ConfigError`."""
    path = config_path(settings)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Executors()
    except OSError as error:
        how = remedy(error, "remove it to train on this machine")
        raise ConfigError(f"{path} cannot be read ({reason(error)}): {how}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: correct it, or remove it to train on this machine.") from error
    try:
        return parse_executors(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML ({error}): see docs/scale.md for its format.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def list_executors(settings: Settings) -> tuple[str, ...]:
    """Return the ids of the configured executors; none if the file is invalid, which Machines and `doctor` report."""
    try:
        return read_executors(settings).ids
    except ConfigError:
        return ()


def parse_executors(values: Mapping[str, Any]) -> Executors:
    """Return the executors from the parsed file. Raises `ConfigError` for invalid values."""
    for name in values:
        if name not in TITLES:
            raise ConfigError(f"there is no executor {name[:40]!r}. {near_miss(name, TITLES)}")
    sections: dict[str, Any] = {name: _section(_KINDS[name], name, section) for name, section in values.items()}
    return Executors(**sections)


def _section(kind: type[SlurmConfig] | type[RayConfig], name: str, values: Any) -> SlurmConfig | RayConfig:
    known = {each.name: each for each in fields(kind)}
    if not isinstance(values, dict):
        raise ConfigError(f"{name} is {str(values)[:40]!r}, but it must be a section [{name}].")
    for key in values:
        if key not in known:
            raise ConfigError(f"[{name}] has no {key[:40]!r}. {near_miss(key, known)}")
    for key, spec in known.items():
        if spec.default is MISSING and not values.get(key):
            raise ConfigError(f"[{name}] has no {key}: add it.")
    return kind(**{key: _checked(kind, name, key, value) for key, value in values.items()})


def _checked(kind: type[SlurmConfig] | type[RayConfig], section: str, key: str, value: Any) -> Any:
    least_jobs = kind.FEWEST_JOBS
    rules: dict[str, tuple[bool, str]] = {
        "options": (_is_texts(value), "a list of strings"),
        "environment": (isinstance(value, dict) and _is_texts(list(value.values())), "a table of strings"),
        "cpus": (_is_whole(value, 1, 1024), "a whole number from 1 to 1024"),
        "gpus": (_is_whole(value, 0, 64), "a whole number from 0 to 64"),
        "jobs": (_is_whole(value, least_jobs, MAX_JOBS), f"a whole number from {least_jobs} to {MAX_JOBS}"),
        "warning_s": (_is_whole(value, 1, 65_535), "a whole number of seconds from 1 to 65535"),
        "address": (isinstance(value, str) and value.startswith(("http://", "https://")), "an http or https address"),
    }
    fits, rule = rules.get(key, (isinstance(value, str), "text"))
    if not fits:
        raise ConfigError(f"{key} in [{section}] is {str(value)[:60]!r}, but it must be {rule}.")
    return tuple(value) if key == "options" else value


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high
