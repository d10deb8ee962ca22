"""Builds the network of a configuration. Imports torch, so modules that only list and plot import it lazily."""

import torch
from torch import nn

from lab.architectures.build import build_network
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec


def build_from_config(config: RunConfig) -> nn.Module:
    """Build a configuration's network on torch's default device, with weights drawn from torch's global generator.

    Raises `ShapeError` if the network does not accept images of that size.
    """
    spec = get_dataset_spec(config.dataset)
    return build_network(
        config.arch,
        classes=len(spec.classes),
        image_size=spec.image_size,
        channels=spec.channels,
        input_size=config.input_size,
        options=config.arch_options,
    )


def build_on_meta(config: RunConfig) -> nn.Module:
    """Build a configuration's network without memory for its weights, to count it or to check that it can be built.

    Raises `ShapeError` if the network does not accept images of that size.
    """
    with torch.device("meta"):
        return build_from_config(config)
