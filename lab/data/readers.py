"""Readers of the data sets' file formats; each returns training images and labels, then those of the test set."""

from functools import partial

import numpy as np

from lab.data.digits import read_digits
from lab.data.idx import check_idx, read_idx
from lab.data.libsvm import read_usps
from lab.data.places import find_file
from lab.data.recognise import recognise
from lab.data.resize import resize_images
from lab.data.spec import Arrays, Files, Reader
from lab.errors import DataError, WrongDataError

_OWN_FILES = "put the data set's own files there"
_USPS_SIDE = 28  # pixels to which the 16×16 images are enlarged


def _read_idx(files: Files) -> Arrays:
    train_x, train_y, test_x, test_y = files
    return (
        read_idx(train_x, dims=3, dtype="uint8"),
        read_idx(train_y, dims=1, dtype="uint8").astype(np.int64),
        read_idx(test_x, dims=3, dtype="uint8"),
        read_idx(test_y, dims=1, dtype="uint8").astype(np.int64),
    )


def _read_emnist(files: Files, *, first_label: int) -> Arrays:
    """Read EMNIST, which stores its images transposed and counts letters from 1."""
    train_x, train_y, test_x, test_y = _read_idx(files)
    upright = [np.ascontiguousarray(images.transpose(0, 2, 1)) for images in (train_x, test_x)]
    return upright[0], train_y - first_label, upright[1], test_y - first_label


def _read_qmnist(files: Files) -> Arrays:
    """Read QMNIST, whose labels have eight columns (digit, writer, …)."""
    train_x, train_y, test_x, test_y = files
    labels = []
    for path in (train_y, test_y):
        table = read_idx(path, dims=2, dtype="int32")
        if table.shape[1] < 1:
            raise WrongDataError(
                f"{path} has no label column: put QMNIST's own file there, or move it away and fetch it."
            )
        labels.append(table[:, 0].astype(np.int64))
    return read_idx(train_x, dims=3, dtype="uint8"), labels[0], read_idx(test_x, dims=3, dtype="uint8"), labels[1]


def _read_usps(files: Files) -> Arrays:
    (train_x, train_y), (test_x, test_y) = read_usps(files[0]), read_usps(files[1])
    return resize_images(train_x, _USPS_SIDE), train_y, resize_images(test_x, _USPS_SIDE), test_y


def _inspect_idx(files: Files, side: int, classes: int, *, table: bool = False, first_label: int = 0) -> None:
    """Check images and labels against each other and the data set.

    table: whether the labels are the first column of an int32 table. Raises `DataError` for the first problem.
    """
    for images, labels in zip(files[::2], files[1::2], strict=True):
        count, tall, wide = check_idx(find_file(images) or images, dims=3, dtype="uint8")
        found = read_idx(labels, dims=2 if table else 1, dtype="int32" if table else "uint8")
        found = found[:, 0] if table else found
        if count != len(found):
            raise DataError(
                f"{images.name} has {count:,} images, but {labels.name} has {len(found):,} labels: put both files of "
                "the same data set there."
            )
        if not len(found):
            raise DataError(f"{images.name} and {labels.name} are empty: {_OWN_FILES}.")
        if (tall, wide) != (side, side):
            raise WrongDataError(f"{images.name} has images of {tall}×{wide} instead of {side}×{side}: {_OWN_FILES}.")
        low, high = int(found.min()), int(found.max())
        if not first_label <= low <= high < first_label + classes:
            raise WrongDataError(
                f"{labels.name} has labels from {low} to {high}, but they must be from {first_label} to "
                f"{first_label + classes - 1}: {_OWN_FILES}."
            )
        if low == high:
            raise DataError(f"{labels.name} has {len(found):,} labels of one class: nothing can be learned from it.")


def _inspect_usps(files: Files, _side: int, _classes: int) -> None:
    for path in files:
        kind = recognise(path)
        if kind.kind != "bzip2":
            raise DataError(
                f"{path} is {kind.words}, but USPS's bzip2 file is expected: move it away and fetch it again."
            )


IDX = Reader(_read_idx, _inspect_idx)  # four files in LeCun's format, grey images
EMNIST_LETTERS = Reader(partial(_read_emnist, first_label=1), partial(_inspect_idx, first_label=1))
EMNIST_BALANCED = Reader(partial(_read_emnist, first_label=0), _inspect_idx)
QMNIST = Reader(_read_qmnist, partial(_inspect_idx, table=True))
USPS = Reader(_read_usps, _inspect_usps)
SKLEARN_DIGITS = Reader(lambda _files: read_digits())
