"""Masks of a few dozen or hundred pixels with ink in boxes."""

import numpy as np

from lab.sketch.boxes import Box


def mask_of(*boxes: Box, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask uint8 (H, W) with ink, 255, in these boxes."""
    mask = np.zeros(shape, np.uint8)
    for top, left, bottom, right in boxes:
        mask[top:bottom, left:right] = 255
    return mask
