"""The first pictures of MNIST, for looking into an example where the data set itself is not on this machine.

They are the first ones of each part, so that a number means the same picture here and there.
"""

from functools import cache
from pathlib import Path

import numpy as np

from lab.data.load import Dataset, compute_constants, is_present
from lab.data.registry import get_dataset_spec
from lab.examples.catalogue import SAMPLE_DATASET, SAMPLE_FILE


def uses_sample(dataset: str, *, root: Path) -> bool:
    """Whether a data set is not in this folder and the lab has its first pictures."""
    return dataset == SAMPLE_DATASET and not is_present(dataset, root=root)


@cache
def load_sample() -> Dataset:
    """Return the first pictures as a data set of its own size, whose constants are those of its own pictures."""
    with np.load(SAMPLE_FILE) as file:
        parts = {name: np.asarray(file[name]) for name in file.files}
    mean, std = compute_constants(parts["train_images"])
    return Dataset(
        get_dataset_spec(SAMPLE_DATASET),
        parts["train_images"],
        parts["train_labels"].astype(np.int64),
        parts["test_images"],
        parts["test_labels"].astype(np.int64),
        mean,
        std,
    )
