"""The list of examples, used for making, unpacking and testing them. Does not import torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ID_PREFIX = "example-"  # ids of other runs are hexadecimal, so they cannot start with this
ORIGIN = "example"
READER_FILE = HERE / "reader.onnx"
SAMPLE_FILE = HERE / "mnist-sample.npz"
SAMPLE_TEST, SAMPLE_TRAIN = 1_000, 400  # how many of the first images of each part
SAMPLE_DATASET = "mnist"


@dataclass(frozen=True, slots=True)
class Example:
    """One example run. id: the same in every release. changes: settings that differ from the default configuration.

    epochs: the saved epochs that ship in addition to the selected one.
    """

    id: str
    name: str
    note: str
    epochs: tuple[int, ...]
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        """The run's bundle."""
        return HERE / f"{self.id}.zip"


_SMALL = {"arch": "basic-cnn", "arch_options": {"dropout": 0.0}, "dataset": SAMPLE_DATASET, "device": "cpu"}
EXAMPLES = (
    Example(
        "example-drawings",
        "Example: reads drawings",
        "LeNet-5 on MNIST, trained on pictures that are bent, turned and redrawn like drawings (augmentation sketch).",
        (1, 2, 4, 8),
        {
            "arch": "lenet5",
            "dataset": SAMPLE_DATASET,
            "augment": "sketch",
            "epochs": 8,
            "batch_size": 128,
            "lr": 4e-3,
            "schedule": "one-cycle",
            "device": "cpu",
        },
    ),
    Example(
        "example-overfit",
        "Example: overfits",
        "A small network that sees only 500 images, 40 times each: it learns them by heart, and its validation loss "
        "rises.",
        (40,),
        {**_SMALL, "train_limit": 500, "epochs": 40, "batch_size": 32, "val_fraction": 0.2, "lr": 2e-3},
    ),
    Example(
        "example-diverged",
        "Example: diverged",
        "The same network with a learning rate that is far too high: the loss jumps up within the first steps and does "
        "not come back.",
        (3,),
        {
            **_SMALL,
            "train_limit": 5_000,
            "epochs": 3,
            "batch_size": 64,
            "optimizer": "sgd",
            "lr": 10.0,
            "momentum": 0.9,
        },
    ),
)
READER = EXAMPLES[0]  # the run whose network reads drawings on Home


def is_example(run_id: str) -> bool:
    """Whether a run's id is that of an example."""
    return run_id.startswith(ID_PREFIX)
