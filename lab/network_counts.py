"""What a configuration's network comes to, counted once a process for a sweep's hundreds of trials and a form's estimates."""

import json
from functools import lru_cache

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.inspection.summary import NetworkCounts, count_network
from lab.networks import build_on_meta


def count_from_config(config: RunConfig) -> NetworkCounts:
    """Count the network of a configuration for one image, once for all configurations that train it.

    Raises `ShapeError` where the network cannot take images of that size.
    """
    spec = get_dataset_spec(config.dataset)
    options = json.dumps(config.arch_options, sort_keys=True)
    return _count(config.arch, options, config.input_size, config.dataset, spec.image_shape, len(spec.classes))


@lru_cache(maxsize=256)
def _count(
    arch: str, options: str, input_size: str, dataset: str, image_shape: tuple[int, int, int], classes: int
) -> NetworkCounts:
    """Count a network; a data set of one's own may come back under its name with other images and classes."""
    config = RunConfig(arch=arch, arch_options=json.loads(options), input_size=input_size, dataset=dataset)
    return count_network(build_on_meta(config), input_shape=(1, *image_shape))
