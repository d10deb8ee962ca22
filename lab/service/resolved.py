"""A configuration as it will run: a separate type, so that it is resolved once and its users require it by type."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lab.architectures.registry import Architecture, check_options, get_architecture, resolve_input_size
from lab.config import INPUT_SIZES, RunConfig
from lab.data.registry import get_dataset_spec
from lab.data.spec import DatasetSpec
from lab.runs.records import RunRecord
from lab.service.forks import check_names_a_point


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A configuration whose names are known, options checked, "auto" sizes concrete and settings without effect reset.

    config: what a run stores. parent: the run of `init_from`; None without one, and for a fork, which starts from the
    weights of its origin. fork_of: that origin. Only `resolve` creates these.
    """

    config: RunConfig
    architecture: Architecture
    dataset: DatasetSpec
    parent: RunRecord | None = None
    fork_of: RunRecord | None = None

    @property
    def input_side(self) -> int:
        """Side length of the network's input images, in pixels."""
        return resolve_input_size(self.architecture, self.config.input_size, image_size=self.dataset.image_size)

    @property
    def is_registered_size(self) -> bool:
        """Whether the network has the input size of its registration, and options that keep its layers."""
        own = resolve_input_size(self.architecture, "auto", image_size=self.dataset.image_size)
        changed = [self.architecture.option(name) for name in self.config.arch_options]
        return self.input_side == own and all(option.keeps_layers for option in changed)

    def with_input_size(self, input_size: str) -> "ResolvedConfig":
        """Return this configuration with another input size: "native" or a side in pixels."""
        side = resolve_input_size(self.architecture, input_size, image_size=self.dataset.image_size)
        return replace(self, config=self.config.replace(input_size=_concrete(side)))


def resolve(config: RunConfig, *, find_run: Callable[[str], RunRecord]) -> ResolvedConfig:
    """Return the configuration as it will run.

    find_run: returns the run with an id or name, for `init_from` and `fork_of`. Raises `UnknownNameError` with the near
    miss, `ConfigError` for options that the network does not have, and what `find_run` raises.
    """
    architecture = get_architecture(config.arch)
    dataset = get_dataset_spec(config.dataset)
    side = resolve_input_size(architecture, config.input_size, image_size=dataset.image_size)
    changes: dict[str, Any] = {
        "arch_options": check_options(architecture, config.arch_options),
        "input_size": _concrete(side),
    }
    check_names_a_point(config)
    fork_of = find_run(config.fork_of) if config.fork_of else None
    parent = find_run(config.init_from) if config.init_from and fork_of is None else None
    if parent is not None:
        changes["init_from"] = parent.id
    if fork_of is not None:
        changes["fork_of"] = fork_of.id
    return ResolvedConfig(config.replace(**changes).normalised(), architecture, dataset, parent, fork_of)


def _concrete(side: int) -> str:
    return str(side) if str(side) in INPUT_SIZES else "native"
