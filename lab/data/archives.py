"""Find the images and labels among the arrays of a NumPy archive, whatever their names.

The names of Keras and MedMNIST are known. Other arrays are recognised by their shapes, and their part by "test" or
"val" in the name. Without such names, the second pair is the test set.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_NAMES = (("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels"))
_VALIDATION = ("val_images", "val_labels")
_MIN_PIXELS = 64  # fewest values per image
_MAX_LABELS = 32  # most values per label: one, or one per class
_LABEL_NAMES = ("y", "label", "target", "class", "digit")
Pair = tuple[str, str]  # names of images and of their labels


@dataclass(frozen=True, slots=True)
class Pairs:
    """The names of an archive's images and labels, by part; None for a part it does not have."""

    train: Pair
    test: Pair | None = None
    validation: Pair | None = None


def find_pairs(arrays: Mapping[str, np.ndarray]) -> Pairs | None:
    """Return which arrays are the images and labels of each part, None if that is ambiguous."""
    names = set(arrays)
    for train_x, train_y, test_x, test_y in _NAMES:
        if {train_x, train_y} <= names:
            test = (test_x, test_y) if {test_x, test_y} <= names else None
            return Pairs((train_x, train_y), test, _VALIDATION if set(_VALIDATION) <= names else None)
    parts: dict[str, list[str]] = {"train": [], "test": [], "val": []}
    for name in arrays:
        lower = name.lower()
        parts["test" if "test" in lower or "t10k" in lower else "val" if "val" in lower else "train"].append(name)
    training, tests, validations = (_pairs_of({name: arrays[name] for name in part}) for part in parts.values())
    if training is None or tests is None or validations is None:
        return None
    if len(training) == 2 and not tests:
        training, tests = training[:1], training[1:]
    if len(training) != 1 or len(tests) > 1 or len(validations) > 1:
        return None
    return Pairs(training[0], *(part[0] if part else None for part in (tests, validations)))


def _pairs_of(arrays: Mapping[str, np.ndarray]) -> list[Pair] | None:
    """Return the pairs of one part in order, None if images have no labels or more than one candidate."""
    images = [name for name, array in arrays.items() if _numbers_each(array) >= _MIN_PIXELS]
    labels = [name for name, array in arrays.items() if 0 < _numbers_each(array) <= _MAX_LABELS]
    if len(labels) > len(images):
        labels = [name for name in labels if name.lower().startswith(_LABEL_NAMES) or "label" in name.lower()]
    return list(zip(images, labels, strict=True)) if len(images) == len(labels) else None


def _numbers_each(array: np.ndarray) -> int:
    """Return the number of values per entry of an array's first axis, 0 for a scalar."""
    return int(np.prod(array.shape[1:])) if array.ndim else 0
