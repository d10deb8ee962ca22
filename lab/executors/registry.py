"""Creates the executors from their configuration."""

from collections.abc import Callable, Mapping
from typing import Any

from lab.executors.base import Executor
from lab.executors.config import Executors, RayConfig, SlurmConfig
from lab.executors.ray import Ray
from lab.executors.slurm import Slurm
from lab.settings import Settings

_OPENERS: Mapping[type, Callable[[Any, Settings], Executor]] = {
    SlurmConfig: Slurm,
    RayConfig: lambda config, _settings: Ray(config),
}


def open_executors(config: Executors, settings: Settings) -> Mapping[str, Executor]:
    """Return the configured executors by id, without connecting to them."""
    return {id: _OPENERS[type(each)](each, settings) for id, each in config.configured.items()}
