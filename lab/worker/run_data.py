"""Loads the data of a run on this machine."""

import torch

from lab.config import RunConfig
from lab.data.resident import load_resident
from lab.service.lab import Lab
from lab.training.data import ResidentData


def read_data(lab: Lab, config: RunConfig, device: torch.device) -> ResidentData:
    """Read a run's data set; a joined machine first fetches it, so that it trains on exactly the lab's files."""
    if lab.joined:
        lab.shared_datasets.fetch(config.dataset)
    return load_resident(config, root=lab.settings.data, device=device)
