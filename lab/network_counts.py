"""Cached parameter and operation counts of a configuration's network, for sweeps with many trials and for estimates."""

import json
from functools import lru_cache

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.inspection.summary import NetworkCounts, count_network
from lab.networks import build_on_meta

FORWARD_BACKWARD = 3  # cost of a forward and a backward pass together, in forward passes


def count_from_config(config: RunConfig) -> NetworkCounts:
    """Return the counts of a configuration's network for one image, cached across configurations with the same network.

    Raises `ShapeError` if the network does not accept images of that size.
    """
    spec = get_dataset_spec(config.dataset)
    options = json.dumps(config.arch_options, sort_keys=True)
    return _count(config.arch, options, config.input_size, config.dataset, spec.image_shape, len(spec.classes))


@lru_cache(maxsize=256)
def _count(
    arch: str, options: str, input_size: str, dataset: str, image_shape: tuple[int, int, int], classes: int
) -> NetworkCounts:
    """Count a network. Image shape and classes are in the key: a custom data set can be replaced under its name."""
    config = RunConfig(arch=arch, arch_options=json.loads(options), input_size=input_size, dataset=dataset)
    return count_network(build_on_meta(config), input_shape=(1, *image_shape))
