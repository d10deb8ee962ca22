"""The built-in data set: scikit-learn's 8×8 digits as 28×28 pictures, with a fixed test split. Needs no network."""

import numpy as np

from lab.data.resize import resize_images
from lab.training.split import stratified_split

SPLIT_SEED = 1797  # part of the data set: changing it changes the test set
TEST_FRACTION = 0.2
FULL = 16  # ink counts of the 8×8 pictures run from 0 to 16 (on-pixels in a 4×4 block)


def read_digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return (train_images, train_labels, test_images, test_labels): uint8 (N, 28, 28) and int64 (N,)."""
    from sklearn.datasets import load_digits  # 0.5 s to import, so only when asked for

    raw = load_digits()
    images = resize_images(np.clip(raw.images * (255 / FULL), 0, 255).round().astype(np.uint8), 28)
    labels = raw.target.astype(np.int64)
    train, test = stratified_split(labels, fraction=TEST_FRACTION, seed=SPLIT_SEED)
    return images[train], labels[train], images[test], labels[test]
