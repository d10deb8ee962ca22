"""The images and labels of a run, resident on one device as uint8. Batches are normalised on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lab.config import RunConfig
from lab.training.split import fold_split, stratified_split


@dataclass(frozen=True, slots=True)
class ResidentData:
    """The training, validation and test parts on one device.

    *_x: uint8 (N, C, H, W). *_y: int64 (N,). A network's input is `(x / 255 - mean) / std`. classes: their number. The
    training part has the order of the files, in which images are drawn without shuffling.
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

    def largest_classes(self) -> dict[str, float]:
        """Return the share of the largest class in every non-empty part: the accuracy of always predicting it."""
        parts = {"train": self.train_y, "val": self.val_y, "test": self.test_y}
        return {name: float(y.bincount().max()) / len(y) for name, y in parts.items() if len(y)}


def build_resident(
    config: RunConfig,
    *,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    mean: float,
    std: float,
    classes: int,
    device: torch.device,
) -> ResidentData:
    """Apply `train_limit` (the first N) and the stratified split, by share or into folds, and copy all to the device.

    train, test: images uint8 (N, H, W) and labels int64 (N,). Raises `ConfigError` if the split leaves no images to
    train on.
    """
    limit = config.train_limit or len(train[1])
    images, labels = train[0][:limit], train[1][:limit]
    train_index, val_index = split_images(labels, config)
    return ResidentData(
        train_x=to_device(images[train_index], device),
        train_y=to_device(labels[train_index], device),
        val_x=to_device(images[val_index], device),
        val_y=to_device(labels[val_index], device),
        test_x=to_device(test[0], device),
        test_y=to_device(test[1], device),
        mean=mean,
        std=std,
        classes=classes,
    )


def split_images(labels: np.ndarray, config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of a run's training and validation images, both ascending. Raises `ConfigError`."""
    if config.folds:
        return fold_split(labels, folds=config.folds, fold=config.fold, seed=config.seed)
    return stratified_split(labels, fraction=config.val_fraction, seed=config.seed)


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return a tensor on `device`; grey images (N, H, W) get a channel dimension: (N, 1, H, W)."""
    tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
    return (tensor.unsqueeze(1) if tensor.ndim == 3 else tensor).to(device)
