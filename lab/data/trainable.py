"""Check, before a run is queued, that something can be learned from its data set."""

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lab.data.load import dataset_checksum, read_parts
from lab.data.registry import get_dataset_spec
from lab.errors import DataError

_WAY_OUT = "choose another data set, or put other files there"
_AT_ONCE = 1_000  # images compared at once; nearly always the first ones decide
_answers: dict[tuple[str, int], str] = {}
_lock = threading.Lock()


def require_trainable(id: str, *, root: Path, limit: int = 0) -> None:
    """Raise `DataError` if nothing can be learned from a data set, or from its first `limit` training images (0: all).

    The files are read once; the result is cached in this process as long as they stay the same.
    """
    key = (dataset_checksum(id, root=root), limit)
    with _lock:
        if key not in _answers:
            images, labels, _, _ = read_parts(id, root=root)
            spec = get_dataset_spec(id)
            _answers[key] = untrainable_reason(images, labels, title=spec.title, classes=spec.classes, limit=limit)
        if _answers[key]:
            raise DataError(_answers[key])


def untrainable_reason(
    images: np.ndarray, labels: np.ndarray, *, title: str, classes: Sequence[str], limit: int = 0
) -> str:
    """Return a sentence on why nothing can be learned from training images uint8 (N, …), or "".

    title, classes: names of the data set and of its labels. limit: number of images trained on (0: all).
    """
    count = min(limit or len(labels), len(labels))
    which = f"{'The first' if count < len(labels) else 'All'} {count:,} training images of {title}"
    raise_limit = "raise train_limit, or " if count < len(labels) else ""
    known = np.unique(labels[:count])
    if len(known) < 2:
        name = classes[int(known[0])]
        return f"{which} are of one class ({name}), so there is nothing to learn: {raise_limit}{_WAY_OUT}."
    first = images[0]
    if any((part != first).any() for part in np.array_split(images[:count], math.ceil(count / _AT_ONCE))):
        return ""
    if first.min() == first.max():
        return (
            f"{which} have the value {first.flat[0]} in every pixel, so there is nothing to learn: {raise_limit}"
            f"{_WAY_OUT}."
        )
    return f"{which} are identical, so its classes cannot be distinguished: {raise_limit}{_WAY_OUT}."
