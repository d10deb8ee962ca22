"""Creates the executors from their configuration."""

from collections.abc import Mapping

from lab.executors.base import Executor
from lab.executors.config import Executors
from lab.executors.ray import Ray
from lab.executors.slurm import Slurm
from lab.settings import Settings


def open_executors(config: Executors, settings: Settings) -> Mapping[str, Executor]:
    """Return the configured executors by id, without connecting to them."""
    found: dict[str, Executor] = {}
    if config.slurm is not None:
        found["slurm"] = Slurm(config.slurm, settings)
    if config.ray is not None:
        found["ray"] = Ray(config.ray)
    return found
