"""Networks with initial or saved weights. Imports torch; `lab.service.weights` imports this module when needed."""

import threading
from pathlib import Path

import torch
from torch import nn

from lab.checkpoint_files import load_weights
from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.networks import build_from_config
from lab.seeding import seed_everything
from lab.training.session import initialise

# Building a network and dropout draw from torch's only global generator: concurrent sessions of a page would disturb
# each other's seed.
GENERATOR_LOCK = threading.Lock()


def build_seeded(config: RunConfig, initial: bytes | None) -> nn.Module:
    """Build a network as training starts: weights drawn from the seed, then replaced by `initial` if given."""
    seed_everything(config.seed)
    network = build_from_config(config)
    if initial is not None:
        load_weights(network, initial)
    return network


def build_with_weights(config: RunConfig, data: bytes) -> nn.Module:
    """Build the network of a configuration and load a saved file into it. Raises `ArtifactError` if it does not fit."""
    with GENERATOR_LOCK:
        network = build_from_config(config)
    load_weights(network, data)
    return network


def build_untrained(config: RunConfig, initial: bytes | None, *, data: Path) -> nn.Module:
    """Build a network as it was before its first step; the state of torch's global generator is restored.

    data: folder of the data sets, read if the architecture initialises itself from training images.
    """
    with GENERATOR_LOCK, torch.random.fork_rng(devices=[]):
        network = build_seeded(config, initial)
    if hasattr(network, "initialise_from_data"):
        initialise(network, load_resident(config, root=data, device=torch.device("cpu")))
    return network
