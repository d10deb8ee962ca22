"""Load a data set's files as training data resident on one device."""

from pathlib import Path

import torch

from lab.config import RunConfig
from lab.data.load import load_dataset, normalization_constants
from lab.training.data import ResidentData, build_resident


def load_resident(config: RunConfig, *, root: Path, device: torch.device) -> ResidentData:
    """Return the run's data set, split and with its normalisation, on `device`.

    Raises `DataError` for missing or damaged files and `ConfigError` for a split that leaves nothing to train on.
    """
    dataset = load_dataset(config.dataset, root=root)
    mean, std = normalization_constants(dataset, config.normalization)
    return build_resident(
        config,
        train=(dataset.train_images, dataset.train_labels),
        test=(dataset.test_images, dataset.test_labels),
        mean=mean,
        std=std,
        classes=len(dataset.spec.classes),
        device=device,
    )
