"""Scaling of small grey images, in the same way for data sets and for drawings."""

import numpy as np


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 (N, size, size) from uint8 (N, H, W): bilinear, corners not aligned, no anti-aliasing.

    Pixel centres keep their place (a mirrored image gives a mirrored result), and values stay within the range of the
    input. Meant for enlarging 8 or 16 pixels to 28.
    """
    tall, wide = _weights(images.shape[1], size), _weights(images.shape[2], size)
    scaled: np.ndarray = np.einsum("ih,nhw,jw->nij", tall, images.astype(np.float32), wide, optimize=True)
    whole: np.ndarray = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return whole


def _weights(source: int, target: int) -> np.ndarray:
    """Return the matrix of linear interpolation along one axis, float32 (target, source)."""
    centres = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    low = np.floor(centres).astype(int)
    high = np.minimum(low + 1, source - 1)
    share = (centres - low).astype(np.float32)
    matrix = np.zeros((target, source), dtype=np.float32)
    matrix[np.arange(target), low] += 1 - share
    matrix[np.arange(target), high] += share
    return matrix
