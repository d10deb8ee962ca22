"""Small data sets on disk, and the folder of the real MNIST."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.data_files import idx_bytes


@pytest.fixture
def write_mnist() -> Callable[..., Path]:
    """Write a small data set in MNIST's four files below `root/folder/raw`."""

    def write(root: Path, folder: str = "MNIST", *, train: int = 40, test: int = 20, prefix: str = "") -> Path:
        raw = root / folder / "raw"
        raw.mkdir(parents=True)
        random = np.random.default_rng(0)
        names = (f"{prefix}train", f"{prefix}test") if prefix else ("train", "t10k")
        for name, count in zip(names, (train, test), strict=True):
            images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
            labels = (np.arange(count) % 10).astype(np.uint8)
            (raw / f"{name}-images-idx3-ubyte").write_bytes(idx_bytes(images))
            (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
        return raw

    return write


@pytest.fixture(scope="session")
def mnist_root() -> Path:
    """The folder with the real MNIST; skips the test if there is none."""
    for folder in (os.environ.get("LAB_DATA"), Path(__file__).resolve().parents[3] / "shared" / "data"):
        if folder and (Path(folder) / "MNIST" / "raw" / "train-images-idx3-ubyte").is_file():
            return Path(folder)
    pytest.skip("the real MNIST is neither under LAB_DATA nor under ../shared/data")
