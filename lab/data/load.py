"""Data sets from disk: whole sets as uint8 arrays, checked against what the registry says. No torch, no network.

Files lie in torchvision's layout below `root`, such as `MNIST/raw/train-images-idx3-ubyte`, or under the other names and
folders of `lab.data.places`.
"""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.data.digits import read_digits
from lab.data.idx import read_idx
from lab.data.libsvm import read_usps
from lab.data.places import find_file
from lab.data.registry import IMPORTED, DatasetSpec, get_dataset_spec, is_own
from lab.data.resize import resize_images
from lab.errors import ConfigError, DataError, WrongDataError, near_miss

READER_VERSION = 1  # raised when the same files give other arrays; part of every checksum
_FOLDERS = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "qmnist": "QMNIST",
    "emnist-letters": "EMNIST",
    "emnist-balanced": "EMNIST",
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set in memory: images uint8 (N, 28, 28), labels int64 (N,), light ink on black.

    mean, std: of the training pixels scaled to [0, 1].
    """

    spec: DatasetSpec
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    mean: float
    std: float


def list_files(id: str, *, root: Path) -> tuple[Path, ...]:
    """Return the files a data set is read from: training images and labels, then the test set's; none for `digits`."""
    get_dataset_spec(id)
    if id == "digits":
        return ()
    if id == "usps":
        return (root / "usps.bz2", root / "usps.t.bz2")
    raw = root / "Drawings" / id if is_own(id) else root / _FOLDERS[id] / "raw"
    if id == "qmnist":
        return tuple(
            raw / f"qmnist-{p}-{k}" for p in ("train", "test") for k in ("images-idx3-ubyte", "labels-idx2-int")
        )
    if id.startswith("emnist"):
        parts = (f"{id}-train", f"{id}-test")
    else:
        parts = ("train", "t10k")
    return tuple(raw / f"{part}-{kind}" for part in parts for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))


def is_present(id: str, *, root: Path) -> bool:
    """Whether every file of the data set is on this machine; looks at names only."""
    return all(find_file(path) is not None for path in list_files(id, root=root))


def load_dataset(id: str, *, root: Path) -> Dataset:
    """Read a data set from disk; absent or damaged files raise `DataError` with the way out."""
    parts = read_parts(id, root=root)
    mean, std = compute_constants(parts[0])
    return Dataset(get_dataset_spec(id), *parts, mean, std)


def read_parts(id: str, *, root: Path) -> "Arrays":
    """Return training images and labels, test images and labels, checked against each other and the registry."""
    spec = get_dataset_spec(id)
    _require(spec, root)
    parts = _READERS.get(id, _read_plain)(spec, list_files(id, root=root))
    train_x, train_y, test_x, test_y = parts
    for what, images, labels in (("training", train_x, train_y), ("test", test_x, test_y)):
        _check(spec, root, what, images, labels)
    return parts


def normalization_constants(dataset: Dataset, name: str) -> tuple[float, float]:
    """Return (mean, std) for `none` (0, 1), `dataset` (the training pixels') or `half` (0.5, 0.5)."""
    constants = {"none": (0.0, 1.0), "dataset": (dataset.mean, dataset.std), "half": (0.5, 0.5)}
    if name not in constants:
        raise ConfigError(f"There is no normalization {name!r}. {near_miss(name, constants)}", field="normalization")
    return constants[name]


def compute_constants(images: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of uint8 pixels scaled to [0, 1], exact from their histogram."""
    counts = np.zeros(256, dtype=np.int64)
    flat = images.reshape(-1)
    for start in range(0, flat.size, 1 << 20):  # in pieces: bincount works on 8-byte copies
        counts += np.bincount(flat[start : start + (1 << 20)], minlength=256)
    values = np.arange(256) / 255
    mean = float((counts * values).sum() / counts.sum())
    return mean, float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))


_checksums: dict[tuple[object, ...], str] = {}
_checksums_lock = threading.Lock()


def dataset_checksum(id: str, *, root: Path) -> str:
    """Return the SHA-256 of a data set's files and of the way they are read.

    Remembered in this process for as long as names, sizes and times of the files stay the same.
    """
    spec = get_dataset_spec(id)
    _require(spec, root)
    files = [found for path in list_files(id, root=root) if (found := find_file(path)) is not None]
    stats = [(str(path), path.stat()) for path in files]
    key: tuple[object, ...] = (id, *((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats))
    with _checksums_lock:
        if key not in _checksums:
            _checksums[key] = _digest(spec, files)
        return _checksums[key]


def _digest(spec: DatasetSpec, files: list[Path]) -> str:
    digest = hashlib.sha256(f"{spec.id} reader {READER_VERSION}\n".encode())
    for path in files:
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    if not files:
        for array in read_digits():
            digest.update(array.tobytes())
    return digest.hexdigest()


def _require(spec: DatasetSpec, root: Path) -> None:
    missing = [path for path in list_files(spec.id, root=root) if find_file(path) is None]
    if missing and is_own(spec.id):
        again = "import its file again" if spec.id.startswith(IMPORTED) else "fine-tune on your drawings again"
        raise DataError(f"The images of {spec.id} are not in {missing[0].parent}: {again}.")
    if missing:
        raise DataError(
            f"{spec.title} is not at hand ({missing[0]} is missing): fetch it with "
            f"`python -m lab datasets --fetch {spec.id}` or from the Train page, or use the built-in data set 'digits'."
        )


def _check(spec: DatasetSpec, root: Path, what: str, images: np.ndarray, labels: np.ndarray) -> None:
    problem = ""
    if images.shape[1:] != (spec.image_size, spec.image_size):
        problem = f"are {images.shape[1]}×{images.shape[2]} instead of {spec.image_size}×{spec.image_size}"
    elif len(images) == 0:
        problem = "are none at all"
    elif len(images) != len(labels):
        problem = f"are {len(images):,}, but there are {len(labels):,} labels"
    elif labels.min() < 0 or labels.max() >= len(spec.classes):
        problem = f"have labels from {labels.min()} to {labels.max()}, but there are {len(spec.classes)} classes"
    if problem:
        raise WrongDataError(
            f"The {what} images of {spec.title} in {root} {problem}, so these are not its files: put its own files there, "
            "or move these away and fetch it."
        )


Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _read_plain(spec: DatasetSpec, files: tuple[Path, ...]) -> Arrays:
    train_x, train_y, test_x, test_y = files
    return (
        read_idx(train_x, dims=3, dtype="uint8"),
        read_idx(train_y, dims=1, dtype="uint8").astype(np.int64),
        read_idx(test_x, dims=3, dtype="uint8"),
        read_idx(test_y, dims=1, dtype="uint8").astype(np.int64),
    )


def _read_emnist(spec: DatasetSpec, files: tuple[Path, ...]) -> Arrays:
    """EMNIST stores its pictures transposed, and counts letters from 1."""
    train_x, train_y, test_x, test_y = _read_plain(spec, files)
    first = 1 if spec.id == "emnist-letters" else 0
    upright = [np.ascontiguousarray(images.transpose(0, 2, 1)) for images in (train_x, test_x)]
    return upright[0], train_y - first, upright[1], test_y - first


def _read_qmnist(spec: DatasetSpec, files: tuple[Path, ...]) -> Arrays:
    """QMNIST's labels have eight columns (digit, writer, …); the first is the digit."""
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


def _read_usps(spec: DatasetSpec, files: tuple[Path, ...]) -> Arrays:
    (train_x, train_y), (test_x, test_y) = read_usps(files[0]), read_usps(files[1])
    return resize_images(train_x, spec.image_size), train_y, resize_images(test_x, spec.image_size), test_y


def _read_digits(spec: DatasetSpec, files: tuple[Path, ...]) -> Arrays:
    return read_digits()


_READERS: dict[str, Callable[[DatasetSpec, tuple[Path, ...]], Arrays]] = {
    "digits": _read_digits,
    "usps": _read_usps,
    "qmnist": _read_qmnist,
    "emnist-letters": _read_emnist,
    "emnist-balanced": _read_emnist,
}
