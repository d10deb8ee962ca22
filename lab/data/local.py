"""Data sets made in the lab, such as saved drawings mixed with part of a published set, identified by their content.

The same drawings give the same id, and an id always means the same images, so runs trained on them can be cached,
resumed and compared like any others.
"""

import hashlib
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np

from lab.atomic_files import make_folder, rename_synced, write_atomically
from lab.data.load import Dataset, is_present, list_files
from lab.data.places import list_folder
from lab.data.recipes import Recipe
from lab.data.registry import DRAWINGS, LOCAL_FOLDER, LocalKind, get_dataset_spec, is_imported
from lab.data.spec import Arrays, DatasetSpec
from lab.errors import DataError, InputError
from lab.system_errors import reason, remedy

REPLAY = 3_000  # images of the original data that are mixed in, so that the network does not forget it
_SHARE = 1_000  # drawings are repeated until there are about this many
_MAX_REPEATS = 40


def write_drawings_dataset(drawings: np.ndarray, labels: np.ndarray, *, beside: Dataset, root: Path) -> str:
    """Write a data set of normalised drawings uint8 (N, H, W) and part of `beside`'s training set; return its id.

    Drawings are repeated up to 40 times, to about 1,000; 3,000 training images of `beside` are mixed in, evenly spread
    over its training set. The test set is that of `beside`. Raises `InputError` if there are no drawings or they do not
    fit `beside`, `DataError` if the data folder cannot be written.
    """
    if not len(drawings) or len(drawings) != len(labels):
        raise InputError(f"There are {len(drawings)} drawings and {len(labels)} labels: save some drawings first.")
    if drawings.shape[1:] != beside.train_images.shape[1:] or labels.max() >= len(beside.spec.classes):
        raise InputError(f"The drawings do not fit {beside.spec.title}: choose a run with the same classes.")
    if beside.spec.recipe is None:
        raise InputError(f"{beside.spec.title} cannot be drawn: choose a run on a data set of grey images.")
    repeats = max(1, min(_MAX_REPEATS, _SHARE // len(drawings)))
    count = len(beside.train_labels)
    replay = np.linspace(0, count - 1, min(REPLAY, count)).astype(int)
    parts = (
        np.concatenate([np.tile(drawings, (repeats, 1, 1)), beside.train_images[replay]]),
        np.concatenate([np.tile(labels, repeats), beside.train_labels[replay]]),
        beside.test_images,
        beside.test_labels,
    )
    return write_local_dataset(DRAWINGS, parts, recipe=beside.spec.recipe, root=root)


def write_local_dataset(kind: LocalKind, parts: Arrays, *, recipe: Recipe, root: Path) -> str:
    """Write training images and labels, then test images and labels, under an id derived from them; return the id.

    kind: `DRAWINGS` or `IMPORTED`. Raises `DataError` if the data folder cannot be written.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(str(part.shape).encode() + np.ascontiguousarray(part, dtype=np.uint8).tobytes())
    id = f"{kind.name}-{recipe.id}-{digest.hexdigest()[:12]}"
    get_dataset_spec(id)
    if not is_present(id, root=root):
        _publish(id, parts, root)
    return id


def list_imported(*, root: Path) -> tuple[DatasetSpec, ...]:
    """Return the data sets in the data folder that were imported from users' files, newest first."""
    folder = root / LOCAL_FOLDER
    found = [entry for entry in list_folder(folder) if is_imported(entry.name)]
    newest_first = sorted(found, key=lambda entry: (-entry.stat().st_mtime, entry.name))
    return tuple(get_dataset_spec(entry.name) for entry in newest_first if is_present(entry.name, root=root))


def _publish(id: str, parts: Arrays, root: Path) -> None:
    """Write into a staging folder and rename it, so that the data set is complete or absent."""
    files = list_files(id, root=root)
    folder = files[0].parent
    try:
        make_folder(folder.parent, mode=0o700)
        staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.parent))
        try:
            for path, part in zip(files, parts, strict=True):
                write_atomically(staging / path.name, (idx_bytes(part),), private=False)
            if folder.exists():  # incomplete, but not left by this function
                shutil.rmtree(folder)
            rename_synced(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        how = remedy(error, "set LAB_DATA to a writable folder")
        raise DataError(f"The data set could not be written to {folder.parent} ({reason(error)}): {how}.") from error


def idx_bytes(array: np.ndarray) -> bytes:
    """Return an array of values from 0 to 255 as an idx file of unsigned bytes (LeCun's format)."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return header + np.ascontiguousarray(array, dtype=np.uint8).tobytes()
