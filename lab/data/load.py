"""Data sets from disk: whole sets as uint8 arrays, checked against the registry. No torch, no network access.

Files are in torchvision's layout below `root`, such as `MNIST/raw/train-images-idx3-ubyte`, or under one of the other
names and folders accepted by `lab.data.places`.
"""

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lab.data.places import find_file
from lab.data.registry import built_in_dataset, get_dataset_spec
from lab.data.spec import Arrays, DatasetSpec
from lab.errors import ConfigError, DataError, WrongDataError, near_miss
from lab.formatting import format_shape

READER_VERSION = 1  # incremented when the same files yield different arrays; part of every checksum


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set in memory: images uint8 (N, H, W), or (N, C, H, W) in colour, and labels int64 (N,).

    Grey images have light ink on black. mean, std: of the training pixels of all channels, scaled to [0, 1].
    """

    spec: DatasetSpec
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    mean: float
    std: float


def list_files(id: str, *, root: Path) -> tuple[Path, ...]:
    """Return the files a data set is read from, in the order of its reader; none for a built-in one."""
    return tuple(root / path for path in get_dataset_spec(id).files)


def is_present(id: str, *, root: Path) -> bool:
    """Whether every file of the data set is on this machine; checks names only."""
    return all(find_file(path) is not None for path in list_files(id, root=root))


def load_dataset(id: str, *, root: Path) -> Dataset:
    """Read a data set from disk. Raises `DataError`, which says what to do, for missing or damaged files."""
    parts = read_parts(id, root=root)
    mean, std = compute_constants(parts[0])
    return Dataset(get_dataset_spec(id), *parts, mean, std)


def read_parts(id: str, *, root: Path) -> Arrays:
    """Return training images and labels, then test images and labels, checked for consistency with the registry."""
    spec = get_dataset_spec(id)
    _require(spec, root)
    parts = spec.reader.read(list_files(id, root=root))
    train_x, train_y, test_x, test_y = parts
    for what, images, labels in (("training", train_x, train_y), ("test", test_x, test_y)):
        _check(spec, root, what, images, labels)
    return parts


def normalization_constants(dataset: Dataset, name: str) -> tuple[float, float]:
    """Return (mean, std) for `none` (0, 1), `dataset` (those of the training pixels) or `half` (0.5, 0.5)."""
    constants = {"none": (0.0, 1.0), "dataset": (dataset.mean, dataset.std), "half": (0.5, 0.5)}
    if name not in constants:
        raise ConfigError(f"There is no normalization {name!r}. {near_miss(name, constants)}", field="normalization")
    return constants[name]


def compute_constants(images: np.ndarray) -> tuple[float, float]:
    """Return the mean and standard deviation of uint8 pixels scaled to [0, 1], exactly, from their histogram."""
    counts = np.zeros(256, dtype=np.int64)
    flat = images.reshape(-1)
    for start in range(0, flat.size, 1 << 20):  # in chunks, because bincount makes 8-byte copies
        counts += np.bincount(flat[start : start + (1 << 20)], minlength=256)
    values = np.arange(256) / 255
    mean = float((counts * values).sum() / counts.sum())
    return mean, float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))


_checksums: dict[tuple[object, ...], str] = {}
_checksums_lock = threading.Lock()


def dataset_checksum(id: str, *, root: Path) -> str:
    """Return the SHA-256 of a data set's files and of the reader's version.

    It is cached in this process as long as the names, sizes and modification times of the files stay the same.
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
        for array in spec.reader.read(()):
            digest.update(array.tobytes())
    return digest.hexdigest()


def _require(spec: DatasetSpec, root: Path) -> None:
    missing = [path for path in list_files(spec.id, root=root) if find_file(path) is None]
    if missing and spec.local:
        raise DataError(f"The images of {spec.id} are not in {missing[0].parent}: {spec.local}.")
    if missing:
        fetch = f"fetch it with `python -m lab datasets --fetch {spec.id}` or from the Train page"
        way_out = fetch if spec.remote else "put its files there"
        raise DataError(
            f"{spec.title} is not downloaded ({missing[0]} is missing): {way_out}, "
            f"or use the built-in data set '{built_in_dataset().id}'."
        )


def _check(spec: DatasetSpec, root: Path, what: str, images: np.ndarray, labels: np.ndarray) -> None:
    problem = ""
    expected = spec.image_shape if spec.channels > 1 else spec.image_shape[1:]
    if images.shape[1:] != expected:
        problem = f"are {format_shape(images.shape[1:])} instead of {format_shape(expected)}"
    elif len(images) == 0:
        problem = "are empty"
    elif len(images) != len(labels):
        problem = f"are {len(images):,}, but there are {len(labels):,} labels"
    elif labels.min() < 0 or labels.max() >= len(spec.classes):
        problem = f"have labels from {labels.min()} to {labels.max()}, but there are {len(spec.classes)} classes"
    if problem:
        raise WrongDataError(
            f"The {what} images of {spec.title} in {root} {problem}, so these are not its files: put its own files "
            "there, or move these away and fetch it."
        )
