"""Everything training needs of a data set, resident on one device as uint8; normalising happens there, per batch."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.config import RunConfig
from lab.data.load import load_dataset, normalization_constants
from lab.data.split import stratified_split


@dataclass(frozen=True, slots=True)
class ResidentData:
    """Training, validation and test part on one device.

    *_x: uint8 (N, 1, 28, 28). *_y: int64 (N,). A network sees `(x / 255 - mean) / std`. classes: their number.
    The training part keeps the files' order, so that training without shuffling means what it says.
    """

    train_x: Tensor
    train_y: Tensor
    val_x: Tensor
    val_y: Tensor
    test_x: Tensor
    test_y: Tensor
    mean: float
    std: float
    classes: int
    class_names: tuple[str, ...]

    def largest_classes(self) -> dict[str, float]:
        """Return the share of the largest class in every part that has images: the accuracy of always naming it."""
        parts = {"train": self.train_y, "val": self.val_y, "test": self.test_y}
        return {name: float(y.bincount().max()) / len(y) for name, y in parts.items() if len(y)}


def load_resident(config: RunConfig, *, root: Path, device: torch.device) -> ResidentData:
    """Read the run's data set and apply `train_limit` (the first N), the stratified split and the normalisation.

    Raises `DataError` for absent or damaged files and `ConfigError` for a split that leaves nothing to train on.
    """
    dataset = load_dataset(config.dataset, root=root)
    mean, std = normalization_constants(dataset, config.normalization)
    limit = config.train_limit or len(dataset.train_labels)
    images, labels = dataset.train_images[:limit], dataset.train_labels[:limit]
    train, val = stratified_split(labels, fraction=config.val_fraction, seed=config.seed)
    return ResidentData(
        train_x=to_device(images[train], device),
        train_y=to_device(labels[train], device),
        val_x=to_device(images[val], device),
        val_y=to_device(labels[val], device),
        test_x=to_device(dataset.test_images, device),
        test_y=to_device(dataset.test_labels, device),
        mean=mean,
        std=std,
        classes=len(dataset.spec.classes),
        class_names=dataset.spec.classes,
    )


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return a tensor on `device`; pictures (N, H, W) gain their channel: (N, 1, H, W)."""
    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return (tensor.unsqueeze(1) if tensor.ndim == 3 else tensor).to(device)
