"""Bounding boxes of ink. Every module of this package may use them: they need no OpenCV."""

import numpy as np

Box = tuple[int, int, int, int]  # top, left, bottom, right; bottom and right are exclusive


def extent(mask: np.ndarray) -> Box | None:
    """Return the bounding box of a mask, bool (H, W); None if nothing is set."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
