"""Makes a data set of a file that people have: Kaggle's CSV, Keras' `mnist.npz`, MedMNIST's and NumPy archives like them.

The classes must be the digits 0 to 9 and the pictures square, up to 28×28. Dark ink on light paper is inverted. Where a file has no test
part, every seventh picture of each class is held back as one, the same ones every time. Nothing is unpickled.
"""

import csv
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.recognise import recognise
from lab.data.registry import IMPORTED
from lab.data.resize import resize_images
from lab.errors import InputError
from lab.training.split import stratified_split

MAX_BYTES = 1 << 30  # unpacked
SIDE = MNIST.side
TEST_FRACTION = 1 / 7  # MNIST's own share
SPLIT_SEED = 1998  # part of the data set: changing it changes the test set
_NAMES = (("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels"))
_VALIDATION = ("val_images", "val_labels")
Part = tuple[np.ndarray, np.ndarray]  # images uint8 (N, H, W), labels int64 (N,)


@dataclass(frozen=True, slots=True)
class Imported:
    """The data set that was made, and what was done to the pictures beside reading them, in sentences."""

    id: str
    train_images: int
    test_images: int
    remarks: tuple[str, ...]


def import_file(path: Path, *, root: Path) -> Imported:
    """Write a data set made of a file below `root`; raises `InputError` for what cannot be one, `DataError` for the disk."""
    try:
        kind = recognise(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): give the path of a data file.") from error
    readers = {"csv": _read_csv, "npz": _read_npz}
    if kind.kind not in readers:
        raise InputError(
            f"{path} is {kind.words}: only a CSV table of labels and pixels and a NumPy archive (.npz) can be imported."
        )
    train, test = readers[kind.kind](path)
    remarks: list[str] = []
    if test is None:
        train, test = _held_back(train)
        remarks.append(f"It has no test part, so {len(test[1]):,} of its images are held back as one.")
    if _is_dark_on_light(train[0]):
        train, test = (255 - train[0], train[1]), (255 - test[0], test[1])
        remarks.append("Its ink is dark on light, so it was inverted.")
    if train[0].shape[1] != SIDE:
        remarks.append(f"Its images of {train[0].shape[1]}×{train[0].shape[1]} were enlarged to {SIDE}×{SIDE}.")
    parts = (resize_images(train[0], SIDE), train[1], resize_images(test[0], SIDE), test[1])
    id = write_local_dataset(IMPORTED, parts, recipe=MNIST, root=root)
    return Imported(id, len(train[1]), len(test[1]), tuple(remarks))


def _read_csv(path: Path) -> tuple[Part, Part | None]:
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes: split it.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = next(csv.reader([stream.readline()]))
        headed = not all(cell.strip().replace(".", "", 1).isdigit() for cell in first)
        table = pd.read_csv(path, header=0 if headed else None, encoding="utf-8-sig").to_numpy(dtype=np.float64)
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} cannot be read as a table of numbers ({error}): look at its rows.") from error
    side = math.isqrt(table.shape[1] - 1) if table.ndim == 2 else 0
    if side * side != table.shape[1] - 1:
        raise InputError(
            f"{path} has {table.shape[1]} columns, but a label and a square of pixels belong there, such as 785: Kaggle's "
            "test.csv has no labels and cannot be trained on."
        )
    if not len(table):
        raise InputError(f"{path} has no rows: choose a table with images.")
    return _part(path, table[:, 1:].reshape(-1, side, side), table[:, 0]), None


def _read_npz(path: Path) -> tuple[Part, Part | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path} unpacks to more than {MAX_BYTES:,} bytes: split it.")
        with np.load(path, allow_pickle=False) as arrays:
            found = next((names for names in _NAMES if set(names[:2]) <= set(arrays.files)), None)
            if found is None:
                raise InputError(
                    f"{path} holds {', '.join(arrays.files) or 'nothing'}, but x_train and y_train (or train_images and "
                    "train_labels) belong there: name its arrays so."
                )
            train = _part(path, arrays[found[0]], arrays[found[1]])
            if set(_VALIDATION) <= set(arrays.files):
                extra = _part(path, arrays[_VALIDATION[0]], arrays[_VALIDATION[1]])
                train = (np.concatenate([train[0], extra[0]]), np.concatenate([train[1], extra[1]]))
            test = _part(path, arrays[found[2]], arrays[found[3]]) if set(found) <= set(arrays.files) else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read as a NumPy archive ({error}): save it again with numpy.savez."
        ) from error
    if test is not None and test[0].shape[1:] != train[0].shape[1:]:
        raise InputError(f"{path} has test images of another size than its training images: make them equal.")
    return train, test


def _part(path: Path, images: np.ndarray, labels: np.ndarray) -> Part:
    """Return images as uint8 (N, H, H) and labels as int64 (N,), or raise `InputError`."""
    return _pixels(path, images), _digits(path, labels, count=len(images) if images.ndim else 0)


def _pixels(path: Path, images: np.ndarray) -> np.ndarray:
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        images = images.mean(axis=-1) if images.shape[-1] == 3 else images[..., 0]
    if images.ndim == 2 and math.isqrt(images.shape[1]) ** 2 == images.shape[1]:
        images = images.reshape(len(images), math.isqrt(images.shape[1]), -1)
    square = images.ndim == 3 and images.shape[1] == images.shape[2] and 8 <= images.shape[1] <= SIDE
    if not square or not np.issubdtype(images.dtype, np.number) or not len(images):
        raise InputError(
            f"{path} has images of the shape {list(images.shape)}, but square ones of 8×8 to {SIDE}×{SIDE} numbers belong "
            "there: scale them first."
        )
    if not (images.min() >= 0 and images.max() <= 255):  # "not inside", so that NaN fails too
        raise InputError(
            f"{path} has pixels from {images.min():g} to {images.max():g}, but they must be from 0 to 255."
        )
    scaled = images * 255.0 if images.max() <= 1 and (images % 1).any() else images
    return np.rint(scaled).astype(np.uint8)


def _digits(path: Path, labels: np.ndarray, *, count: int) -> np.ndarray:
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or len(flat) != count:
        raise InputError(
            f"{path} has labels of the shape {list(labels.shape)} for {count:,} images: one label an image belongs there."
        )
    if not np.issubdtype(flat.dtype, np.number) or not np.isin(flat, np.arange(10)).all():
        wrong = next(value for value in flat.tolist() if value not in range(10))
        raise InputError(f"{path} has the label {wrong!r}, but only the digits 0 to 9 can be imported.")
    whole: np.ndarray = flat.astype(np.int64)
    return whole


def _held_back(part: Part) -> tuple[Part, Part]:
    images, labels = part
    if len(labels) < 2:
        raise InputError(f"The file has {len(labels)} image, but training and testing need at least two.")
    train, test = stratified_split(labels, fraction=TEST_FRACTION, seed=SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def _is_dark_on_light(images: np.ndarray) -> bool:
    """Whether most of the border is light: paper, where these data sets have black."""
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    return bool(np.median(border) > 127)
