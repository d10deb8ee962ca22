"""Stratified splits of the training images into a training and a validation part, by share or into folds."""

import numpy as np

from lab.errors import ConfigError


def stratified_split(labels: np.ndarray, *, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (train_index, val_index), both ascending int64; every index is in exactly one of them.

    Validation gets `round(N * fraction)` indices (at least 1 if fraction > 0), and each class its share to within one
    image (largest remainders). Equal arguments give equal splits on every machine, because NumPy guarantees the stream
    of `RandomState`.
    """
    if not 0.0 <= fraction < 1.0:
        raise ConfigError(
            f"val_fraction is {fraction:g}, but it must be at least 0 and below 1. Try 0.1.", field="val_fraction"
        )
    count = len(labels)
    val_count = max(1, round(count * fraction)) if fraction > 0 and count else 0
    if val_count and val_count >= count:
        raise ConfigError(
            f"val_fraction {fraction:g} of {count} images leaves none to train on. Use more images or a smaller share.",
            field="val_fraction",
        )
    chosen = np.zeros(count, dtype=bool)
    random = np.random.RandomState(seed)
    classes, members = np.unique(labels, return_counts=True)
    for label, size in zip(classes, _shares(members, val_count), strict=True):
        chosen[random.permutation(np.flatnonzero(labels == label))[:size]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def fold_split(labels: np.ndarray, *, folds: int, fold: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (train_index, val_index) of one fold, both ascending int64; every index is in exactly one of them.

    fold: counted from 1. Every index is in the validation part of exactly one fold. Folds differ in size by at most one
    image, and in the images of each class by at most one. Equal arguments give equal splits on every machine, as in
    `stratified_split`.
    """
    count = len(labels)
    if folds > count:
        raise ConfigError(
            f"folds is {folds}, but there are {count} training images: choose at most as many folds.", field="folds"
        )
    random = np.random.RandomState(seed)
    # Sorted by class and shuffled within each, image i goes to fold i mod k, which balances both classes and folds.
    order = np.concatenate([random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)])
    chosen = np.zeros(count, dtype=bool)
    chosen[order[fold - 1 :: folds]] = True
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)


def _shares(members: np.ndarray, total: int) -> np.ndarray:
    """Divide `total` over classes in proportion to their members, by largest remainder (Hamilton's method)."""
    if total == 0:
        return np.zeros(len(members), dtype=np.int64)
    exact = members * (total / members.sum())
    shares: np.ndarray = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - shares), kind="stable")
    shares[order[: total - int(shares.sum())]] += 1
    return shares
