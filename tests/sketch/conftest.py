"""The folder of the real MNIST, and small networks with known answers."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The folder with the real MNIST; skips the test if there is none."""
    for folder in (os.environ.get("LAB_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"):
        if folder and (Path(folder) / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return Path(folder)
    pytest.skip("the real MNIST is neither under LAB_DATA nor under ../shared/data")


@dataclass(frozen=True)
class Loaded:
    """The part of a loaded run that reading needs, as `lab.sketch.reading.NetworkLike`."""

    network: nn.Module
    mean: float = 0.0
    std: float = 1.0
    class_names: tuple[str, ...] = tuple("0123456789")


@pytest.fixture
def halves() -> Loaded:
    """A linear network of two classes: ink in the left half, ink in the right half."""
    linear = nn.Linear(784, 2, bias=False)
    weights = torch.zeros(2, 28, 28)
    weights[0, :, :14] = 0.2
    weights[1, :, 14:] = 0.2
    with torch.no_grad():
        linear.weight.copy_(weights.flatten(1))
    network = nn.Sequential(nn.Flatten(), linear)
    return Loaded(network, class_names=("left", "right"))
