"""The engine on the real MNIST: report D's LeNet and the speedrun."""

import os
import statistics
from pathlib import Path

import pytest
import torch

from lab.architectures.build import build_network
from lab.config import RunConfig
from lab.data.load import is_present
from lab.data.resident import load_resident
from lab.presets import get_preset
from lab.seeding import seed_everything
from lab.training.engine import train
from lab.training.events import Ended

CPU = torch.device("cpu")
ROOT = Path(os.environ.get("LAB_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")

pytestmark = [
    pytest.mark.mnist,
    pytest.mark.slow,
    pytest.mark.skipif(not is_present("mnist", root=ROOT), reason=f"no MNIST in {ROOT}: set LAB_DATA"),
]


def accuracy_of(config: RunConfig) -> float:
    """Train, and return the accuracy on the 10,000 test images."""
    data = load_resident(config, root=ROOT, device=CPU)
    seed_everything(config.seed)
    network = build_network(config.arch, classes=data.classes, options=config.arch_options)
    ended = list(train(config, network=network, data=data, device=CPU))[-1]
    assert isinstance(ended, Ended)
    return float(ended.summary["test_accuracy"])


def test_report_ds_lenet_reaches_its_accuracy_in_five_epochs() -> None:
    config = RunConfig(arch="lenet-bn", epochs=5, batch_size=64, lr=1e-4, weight_decay=1e-3, val_fraction=0.2)
    assert accuracy_of(config) >= 0.9748


def test_the_speedrun_reaches_a_mean_of_99_percent_over_five_held_out_seeds() -> None:
    config = get_preset("speedrun").config()
    assert statistics.mean(accuracy_of(config.replace(seed=seed)) for seed in range(3_000, 3_005)) >= 0.99
