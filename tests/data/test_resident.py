"""The data given to training: all parts as uint8 on one device, split and limited by the configuration."""

from pathlib import Path

import pytest
import torch

from lab.config import RunConfig
from lab.data.load import load_dataset
from lab.data.resident import load_resident
from lab.errors import ConfigError

CPU = torch.device("cpu")


def test_the_parts_are_the_data_sets_images_in_file_order(tmp_path: Path) -> None:
    config = RunConfig(dataset="digits", val_fraction=0.25, train_limit=400, seed=4)
    data = load_resident(config, root=tmp_path, device=CPU)
    plain = load_dataset("digits", root=tmp_path)
    assert (data.train_x.dtype, data.train_y.dtype) == (torch.uint8, torch.int64)
    assert data.train_x.shape == (300, 1, 28, 28)
    assert data.val_x.shape == (100, 1, 28, 28)
    assert torch.equal(data.test_x[:, 0], torch.from_numpy(plain.test_images))
    everything = torch.cat([data.train_x, data.val_x])[:, 0].flatten(1)
    first = torch.from_numpy(plain.train_images[:400]).flatten(1)
    assert sorted(everything.tolist()) == sorted(first.tolist())
    assert (data.mean, data.std, data.classes) == (plain.mean, plain.std, 10)


def test_without_validation_every_image_is_trained_on_in_file_order(tmp_path: Path) -> None:
    data = load_resident(RunConfig(dataset="digits", val_fraction=0.0), root=tmp_path, device=CPU)
    plain = load_dataset("digits", root=tmp_path)
    assert torch.equal(data.train_y, torch.from_numpy(plain.train_labels))
    assert len(data.val_x) == 0


def test_one_image_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leaves none to train on"):
        load_resident(RunConfig(dataset="digits", train_limit=1), root=tmp_path, device=CPU)
