"""The first images of MNIST, for inspecting an example on a machine without the data set.

They are the first ones of each part, so that an index means the same image in the sample and in the data set.
"""

from functools import cache
from pathlib import Path

import numpy as np

from lab.data.load import Dataset, compute_constants, is_present
from lab.data.registry import get_dataset_spec
from lab.examples.catalogue import SAMPLE_DATASET, SAMPLE_FILE


def uses_sample(dataset: str, *, root: Path) -> bool:
    """Whether the sample is used for a data set, because it is not present in this folder."""
    return dataset == SAMPLE_DATASET and not is_present(dataset, root=root)


@cache
def load_sample() -> Dataset:
    """Return the sample as a data set, whose normalisation constants are computed from its own images."""
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
