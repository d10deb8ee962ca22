"""Import a data set from a user's file: Kaggle's CSV, Keras' `mnist.npz`, MedMNIST's and similar NumPy archives.

The classes must be the digits 0 to 9 and the images square, up to 28×28. Dark ink on light paper is inverted. If a file
has no test set, a seventh of each class is held out as one, always the same images. Nothing is unpickled.
"""

import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.data.archives import Pair, find_pairs
from lab.data.local import write_local_dataset
from lab.data.recipes import MNIST
from lab.data.recognise import PACKED, recognise
from lab.data.registry import IMPORTED
from lab.data.resize import resize_images
from lab.data.spec import DIGITS
from lab.data.tables import read_table
from lab.data.trainable import untrainable_reason
from lab.errors import InputError
from lab.system_errors import reason, remedy
from lab.text import shortened
from lab.training.split import stratified_split
from lab.user_files import require_file

MAX_BYTES = 1 << 30  # unpacked
SIDE = MNIST.side
FEW_LEVELS = 16  # largest pixel value of scikit-learn's digits; without scaling, such images would be almost black
TEST_FRACTION = 1 / 7  # as in MNIST
_REASON = 120  # most characters of a reader's error that are quoted
SPLIT_SEED = 1998  # part of the data set: changing it changes the test set
Part = tuple[np.ndarray, np.ndarray]  # images uint8 (N, H, W), labels int64 (N,)


@dataclass(frozen=True, slots=True)
class Imported:
    """The imported data set, and sentences on how the images were changed."""

    id: str
    train_images: int
    test_images: int
    remarks: tuple[str, ...]


def import_file(path: Path, *, root: Path) -> Imported:
    """Import a file as a data set below `root`.

    Raises `InputError` if the file cannot be imported, `DataError` if the data set cannot be written.
    """
    try:
        require_file(path)
        kind = recognise(path)
    except OSError as error:
        how = remedy(error, "give the path of a data file")
        raise InputError(f"{path} cannot be read ({reason(error)}): {how}.") from error
    readers = {"csv": _read_csv, "npz": _read_npz}
    if kind.kind not in readers:
        unpack = " Unpack it first." if kind.kind in PACKED else ""
        raise InputError(
            f"{path} is {kind.words}: only a CSV table of labels and pixels or a NumPy archive (.npz) can be imported."
            f"{unpack}"
        )
    remarks: list[str] = []
    train, test = readers[kind.kind](path, remarks)
    if test is None:
        train, test = _held_back(train)
        remarks.append(f"It has no test set, so {len(test[1]):,} of its images are held out as one.")
    if _is_dark_on_light(train[0]):
        train, test = (255 - train[0], train[1]), (255 - test[0], test[1])
        remarks.append("Its ink is dark on light, so it was inverted.")
    if train[0].shape[1] != SIDE:
        remarks.append(f"Its images of {train[0].shape[1]}×{train[0].shape[1]} were enlarged to {SIDE}×{SIDE}.")
    parts = (resize_images(train[0], SIDE), train[1], resize_images(test[0], SIDE), test[1])
    if why := untrainable_reason(parts[0], parts[1], title=path.name, classes=DIGITS):
        raise InputError(why)
    remarks += [*_remark_classes(train[1], test[1]), *_remark_repeats(parts[0], parts[2])]
    id = write_local_dataset(IMPORTED, parts, recipe=MNIST, root=root)
    return Imported(id, len(train[1]), len(test[1]), tuple(dict.fromkeys(remarks)))


def _read_csv(path: Path, remarks: list[str]) -> tuple[Part, Part | None]:
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} has more than {MAX_BYTES:,} bytes: split it.")
    images, labels = read_table(path)
    return _part(path, images, labels, remarks), None


def _read_npz(path: Path, remarks: list[str]) -> tuple[Part, Part | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path} unpacks to more than {MAX_BYTES:,} bytes: split it.")
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
    except InputError:
        raise
    except Exception as error:  # zipfile and NumPy raise many types on damaged, encrypted and hostile files
        why = shortened(str(error) or type(error).__name__, _REASON)
        raise InputError(
            f"{path} cannot be read as a NumPy archive ({why}): save it again with numpy.savez."
        ) from error
    found = find_pairs(arrays)
    if found is None:
        raise InputError(
            f"{path} contains {', '.join(arrays) or 'nothing'}, but x_train and y_train (or train_images and "
            "train_labels) are expected: rename its arrays."
        )
    train = _pair(path, arrays, found.train, remarks)
    if found.validation:
        extra = _pair(path, arrays, found.validation, remarks)
        train = (np.concatenate([train[0], extra[0]]), np.concatenate([train[1], extra[1]]))
    test = _pair(path, arrays, found.test, remarks) if found.test else None
    if test is not None and test[0].shape[1:] != train[0].shape[1:]:
        raise InputError(f"{path} has test images of another size than its training images: make the sizes equal.")
    return train, test


def _pair(path: Path, arrays: Mapping[str, np.ndarray], pair: Pair, remarks: list[str]) -> Part:
    images, labels = pair
    return _part(path, arrays[images], arrays[labels], remarks)


def _part(path: Path, images: np.ndarray, labels: np.ndarray, remarks: list[str]) -> Part:
    """Return images as uint8 (N, H, H) and labels as int64 (N,), appending to `remarks` what was changed.

    Raises `InputError` if they are not images and labels of digits.
    """
    return _pixels(path, images, remarks), _digits(path, labels, remarks, count=len(images) if images.ndim else 0)


def _pixels(path: Path, images: np.ndarray, remarks: list[str]) -> np.ndarray:
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[2] == images.shape[3]:
        images = np.moveaxis(images, 1, -1)  # from PyTorch's order
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        if (images != images[..., :1]).any():
            remarks.append("Its colours were averaged to grey.")
        images = images.mean(axis=-1) if images.shape[-1] == 3 else images[..., 0]
    if images.ndim == 2 and math.isqrt(images.shape[1]) ** 2 == images.shape[1]:
        images = images.reshape(len(images), math.isqrt(images.shape[1]), -1)
    if images.ndim == 4 and {2, 4} & {images.shape[1], images.shape[-1]}:
        raise InputError(
            f"{path} has images with transparency (shape {list(images.shape)}): remove their alpha channel."
        )
    if images.ndim > 2 and not len(images):
        raise InputError(f"{path} has a part without images (shape {list(images.shape)}): remove that part.")
    if images.dtype == bool:
        images = images.astype(np.uint8)
    square = images.ndim == 3 and images.shape[1] == images.shape[2] and 8 <= images.shape[1] <= SIDE
    if not square or images.dtype.kind not in "uif":
        raise InputError(
            f"{path} has images of the shape {list(images.shape)}, but square images of 8×8 to {SIDE}×{SIDE} numbers "
            "are expected: scale them first."
        )
    wrong = int(np.isnan(images).sum()) if images.dtype.kind == "f" else 0
    if wrong:
        raise InputError(f"{path} has {wrong:,} pixels that are not numbers (NaN): replace or remove their images.")
    low, high = float(images.min()), float(images.max())
    if -1 <= low < 0 and high <= 1:
        remarks.append("Its pixels are from -1 to 1, so they were scaled to 0 to 255.")
        images, high = (images + 1) / 2, 1.0
    elif not (low >= 0 and high <= 255):  # "not inside", so that a missed NaN fails too
        raise InputError(f"{path} has pixels from {low:g} to {high:g}, but they must be from 0 to 255.")
    if 1 < high <= FEW_LEVELS:
        remarks.append(f"Its pixels are from 0 to {FEW_LEVELS}, so they were scaled to 0 to 255.")
        images, high = images / FEW_LEVELS, 1.0
    return np.rint(images * 255.0 if high <= 1 else images).astype(np.uint8)


def _digits(path: Path, labels: np.ndarray, remarks: list[str], *, count: int) -> np.ndarray:
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim == 2 and flat.shape[1] == 10 and np.isin(flat, (0, 1)).all() and (flat.sum(axis=1) == 1).all():
        flat = flat.argmax(axis=1)
    if flat.ndim != 1 or len(flat) != count:
        raise InputError(
            f"{path} has labels of the shape {list(labels.shape)} for {count:,} images: one label per image is "
            "expected."
        )
    if flat.dtype.kind not in "biufUS":
        raise InputError(f"{path} has labels of the type {flat.dtype}, but only the digits 0 to 9 can be imported.")
    if flat.dtype.kind in "US":
        flat = np.array([_number(text) for text in flat.tolist()], dtype=object)
    values = set(flat.tolist())
    if 10 in values and values <= set(range(1, 11)):  # Matlab counts from 1, so data sets made for it label 0 as 10
        remarks.append("Its labels are from 1 to 10, so 10 was read as the digit 0.")
        flat = np.where(flat == 10, 0, flat)
    elif not values <= set(range(10)):
        wrong = next(value for value in flat.tolist() if value not in range(10))
        raise InputError(f"{path} has the label {wrong!r}, but only the digits 0 to 9 can be imported.")
    whole: np.ndarray = flat.astype(np.int64)
    return whole


def _number(text: str | bytes) -> int | str:
    """Return a label's text as an integer if it is one, else as it is."""
    word = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return int(word) if word.strip().isascii() and word.strip().isdigit() and len(word) < 10 else word


def _remark_classes(train: np.ndarray, test: np.ndarray) -> list[str]:
    """Return a sentence on the digits without training images, [] if there are none."""
    absent = [digit for label, digit in enumerate(DIGITS) if label not in train]
    if not absent:
        return []
    asked = int((~np.isin(test, train)).sum())
    also = f", so the {asked:,} test images of them will be misclassified" if asked else ""
    return [f"No training image shows {', '.join(absent)}{also}."]


def _remark_repeats(train: np.ndarray, test: np.ndarray) -> list[str]:
    """Return a sentence on the number of test images that are also training images, [] if there are none."""
    known = {image.tobytes() for image in train}
    count = sum(image.tobytes() in known for image in test)
    if not count:
        return []
    return [
        f"{count:,} of its {len(test):,} test images are among the training images, so its test accuracy will be too "
        "high."
    ]


def _held_back(part: Part) -> tuple[Part, Part]:
    images, labels = part
    if len(labels) < 2:
        raise InputError(f"The file has {len(labels)} image, but training and testing need at least two.")
    train, test = stratified_split(labels, fraction=TEST_FRACTION, seed=SPLIT_SEED)
    return (images[train], labels[train]), (images[test], labels[test])


def _is_dark_on_light(images: np.ndarray) -> bool:
    """Whether most of the border is light, as paper is; the lab's data sets have a black background."""
    border = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    return bool(np.median(border) > 127)
