"""The built-in data set: scikit-learn's 8×8 digits as 28×28 images, with a fixed test split. Needs no download.

The file is read from the package without importing scikit-learn, because the import takes up to two seconds and
nothing else needs it before the first training step.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lab.data.resize import resize_images
from lab.training.split import stratified_split

SPLIT_SEED = 1797  # part of the data set: changing it changes the test set
TEST_FRACTION = 0.2
FULL = 16  # the largest pixel value of the 8×8 images: the number of ink pixels in a 4×4 block


def read_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (train_images, train_labels, test_images, test_labels): uint8 (N, 28, 28) and int64 (N,)."""
    table = _table()
    counts = table[:, :-1].reshape(-1, 8, 8)
    images = resize_images(np.clip(counts * (255 / FULL), 0, 255).round().astype(np.uint8), 28)
    labels = table[:, -1].astype(np.int64)
    train, test = stratified_split(labels, fraction=TEST_FRACTION, seed=SPLIT_SEED)
    return images[train], labels[train], images[test], labels[test]


def _table() -> np.ndarray:
    """Return float64 (1797, 65): 64 ink counts and the digit in each row."""
    package = find_spec("sklearn")
    places = package.submodule_search_locations if package else None
    file = Path(places[0], "datasets", "data", "digits.csv.gz") if places else None
    if file is not None and file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits  # for a release with another layout; raises if it is not installed

    raw = load_digits()
    return np.column_stack([raw.data, raw.target])
