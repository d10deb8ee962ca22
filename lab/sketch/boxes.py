"""The box around ink. Known to every module of this package: it needs neither OpenCV nor a picture's meaning."""

import numpy as np

Box = tuple[int, int, int, int]  # top, left, bottom, right; the last two are one beyond


def extent(mask: np.ndarray) -> Box | None:
    """Return the box around what is set in a mask, bool (H, W); None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
