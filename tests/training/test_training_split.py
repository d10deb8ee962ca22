"""The split is stratified, uses every image once and is the same on every machine."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.config import RunConfig
from lab.errors import ConfigError
from lab.training.data import ResidentData, build_resident
from lab.training.split import fold_split, stratified_split


@given(
    labels=st.lists(st.integers(0, 9), min_size=20, max_size=300),
    fraction=st.floats(0.0, 0.9),
    seed=st.integers(0, 2**31 - 1),
)
def test_every_image_is_used_once_and_classes_keep_their_proportions(
    labels: list[int], fraction: float, seed: int
) -> None:
    array = np.array(labels)
    train, val = stratified_split(array, fraction=fraction, seed=seed)
    assert sorted([*train, *val]) == list(range(len(array)))
    assert (np.diff(train) > 0).all()
    for label in set(labels):
        exact = (array == label).sum() * len(val) / len(array)
        assert abs((array[val] == label).sum() - exact) < 1


def test_the_number_of_validation_images_is_the_rounded_fraction() -> None:
    labels = np.arange(1000) % 7
    assert len(stratified_split(labels, fraction=0.2, seed=3)[1]) == 200
    assert len(stratified_split(labels, fraction=0.0001, seed=3)[1]) == 1
    assert len(stratified_split(labels, fraction=0.0, seed=3)[1]) == 0


def test_the_seed_determines_the_split() -> None:
    labels = np.repeat(np.arange(3), 4)
    assert stratified_split(labels, fraction=0.25, seed=5)[1].tolist() == [0, 7, 10]
    assert stratified_split(labels, fraction=0.25, seed=6)[1].tolist() != [0, 7, 10]


def test_a_split_without_training_images_is_refused() -> None:
    with pytest.raises(ConfigError, match="leaves none to train on"):
        stratified_split(np.array([3]), fraction=0.5, seed=0)


def test_one_training_image_is_left_and_there_are_at_most_as_many_folds_as_images() -> None:
    train, val = stratified_split(np.array([3, 4]), fraction=0.5, seed=0)
    assert (len(train), len(val)) == (1, 1)
    for fold in (1, 2, 3):
        train, val = fold_split(np.array([0, 1, 1]), folds=3, fold=fold, seed=0)
        assert (len(train), len(val)) == (2, 1)
    with pytest.raises(ConfigError, match="folds is 4, but there are 3 training images"):
        fold_split(np.array([0, 1, 1]), folds=4, fold=1, seed=0)
    assert [part.tolist() for part in stratified_split(np.zeros(0), fraction=0.5, seed=0)] == [[], []]


@pytest.mark.parametrize("fraction", [float("nan"), -0.1, 1.0])
def test_a_fraction_outside_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigError, match="at least 0 and below 1"):
        stratified_split(np.arange(10), fraction=fraction, seed=0)


def test_the_classes_with_the_largest_remainders_get_the_remaining_images() -> None:
    """Half of 5, 3 and 2 images is 2.5, 1.5 and 1: of five, the remaining one goes to the first of the tied classes."""
    _, val = stratified_split(np.repeat([0, 1, 2], [5, 3, 2]), fraction=0.5, seed=0)
    assert np.bincount(np.repeat([0, 1, 2], [5, 3, 2])[val]).tolist() == [3, 1, 1]
    labels = np.repeat([0, 1, 2], [13, 18, 9])  # a quarter is 3.25, 4.5 and 2.25
    _, val = stratified_split(labels, fraction=0.25, seed=0)
    assert np.bincount(labels[val]).tolist() == [3, 5, 2]


def _resident(**changes: object) -> ResidentData:
    """Return 40 training images, each of uniform grey equal to its index, and 8 test images."""
    images = np.repeat(np.arange(40, dtype=np.uint8), 4).reshape(40, 2, 2)
    train, test = (images, np.arange(40) % 4), (images[:8] + 100, np.arange(8) % 4)
    config = RunConfig(**changes)
    return build_resident(config, train=train, test=test, mean=0.25, std=0.5, classes=4, device=torch.device("cpu"))


def test_a_run_has_the_split_of_its_seed_and_every_image_its_label() -> None:
    for seed in (0, 3):
        data = _resident(val_fraction=0.25, seed=seed)
        train, val = stratified_split(np.arange(40) % 4, fraction=0.25, seed=seed)
        assert data.train_x[:, 0, 0, 0].tolist() == train.tolist()
        assert data.val_x[:, 0, 0, 0].tolist() == val.tolist()
        assert data.train_y.tolist() == [number % 4 for number in train.tolist()]
        assert data.val_y.tolist() == [number % 4 for number in val.tolist()]
        assert data.test_x[:, 0, 1, 1].tolist() == list(range(100, 108))
        assert data.test_y.tolist() == [0, 1, 2, 3] * 2
    assert set(_resident(val_fraction=0.25, seed=0).val_y.tolist()) == {0, 1, 2, 3}
    assert (
        _resident(val_fraction=0.25, seed=0).val_x[:, 0, 0, 0].tolist()
        != _resident(val_fraction=0.25, seed=3).val_x[:, 0, 0, 0].tolist()
    )


def test_a_limit_takes_the_first_images_before_the_split() -> None:
    data = _resident(val_fraction=0.5, train_limit=10, seed=1)
    assert sorted([*data.train_x[:, 0, 0, 0].tolist(), *data.val_x[:, 0, 0, 0].tolist()]) == list(range(10))
    assert (len(data.train_y), len(data.val_y), len(data.test_y)) == (5, 5, 8)


def test_the_fraction_of_the_largest_class_is_known_for_every_nonempty_split() -> None:
    data = _resident(val_fraction=0.0, train_limit=10)
    assert data.largest_classes() == {"train": 0.3, "test": 0.25}
    assert _resident(val_fraction=0.2).largest_classes() == {"train": 0.25, "val": 0.25, "test": 0.25}


@settings(max_examples=30)
@given(
    labels=st.lists(st.integers(0, 9), min_size=20, max_size=300),
    folds=st.integers(2, 20),
    seed=st.integers(0, 2**31 - 1),
)
def test_every_image_is_held_out_by_one_fold_and_folds_are_balanced_overall_and_by_class(
    labels: list[int], folds: int, seed: int
) -> None:
    array = np.array(labels)
    parts = [fold_split(array, folds=folds, fold=fold, seed=seed) for fold in range(1, folds + 1)]
    assert sorted(np.concatenate([val for _, val in parts])) == list(range(len(array)))
    for train, val in parts:
        assert sorted([*train, *val]) == list(range(len(array)))
        assert (np.diff(train) > 0).all()
        assert (np.diff(val) > 0).all()
    assert np.ptp([len(val) for _, val in parts]) <= 1
    for label in set(labels):
        assert np.ptp([(array[val] == label).sum() for _, val in parts]) <= 1


def test_the_seed_determines_the_folds() -> None:
    labels = np.repeat(np.arange(3), 4)
    folds = [fold_split(labels, folds=3, fold=fold, seed=5)[1].tolist() for fold in (1, 2, 3)]
    assert folds == [[0, 3, 6, 11], [1, 5, 7, 9], [2, 4, 8, 10]]
    assert fold_split(labels, folds=3, fold=1, seed=6)[1].tolist() != folds[0]
    with pytest.raises(ConfigError, match="folds is 13, but there are 12 training images"):
        fold_split(labels, folds=13, fold=1, seed=0)


def test_a_run_has_the_fold_of_its_settings() -> None:
    data = _resident(folds=4, fold=3, seed=2, val_fraction=0.0)
    train, val = fold_split(np.arange(40) % 4, folds=4, fold=3, seed=2)
    assert data.train_x[:, 0, 0, 0].tolist() == train.tolist()
    assert data.val_x[:, 0, 0, 0].tolist() == val.tolist()
    assert len(val) == 10
    assert data.val_y.tolist() == [number % 4 for number in val.tolist()]
