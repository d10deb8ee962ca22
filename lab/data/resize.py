"""Scaling of small grey images, in the same way for data sets and for drawings, and with the same result everywhere.

Sums of a matrix product differ between processors, and one pixel in 600 of the built-in digits lies so near to the
middle between two levels that it would differ with them. So each sum is written out, in the order and with the rounding
of processors with AVX-512, with which the runs of earlier releases were recorded.
"""

import numpy as np

_PIECE = 2_000  # images scaled at once, which bounds the memory of the intermediate float64 values


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 (N, size, size) from uint8 (N, H, W): bilinear, corners not aligned, no anti-aliasing.

    Pixel centres keep their place (a mirrored image gives a mirrored result), and values stay within the range of the
    input. Meant for enlarging 8 or 16 pixels to 28.
    """
    scaled = np.empty((len(images), size, size), dtype=np.uint8)
    for start in range(0, len(images), _PIECE):
        piece = images[start : start + _PIECE].astype(np.float32)
        piece = _scale_axis(_scale_axis(piece, size, axis=1), size, axis=2)
        scaled[start : start + _PIECE] = np.clip(np.rint(piece), 0, 255)
    return scaled


def _scale_axis(images: np.ndarray, size: int, *, axis: int) -> np.ndarray:
    """Return float32 images (N, H, W) interpolated linearly along one axis.

    The first product is rounded to float32, the second one is added to it before the sum is rounded, as by a fused
    multiply-add; in float64 both products are exact.
    """
    source = images.shape[axis]
    centres = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    low = np.floor(centres).astype(int)
    share = (centres - low).astype(np.float32)
    wide = (-1, 1) if axis == 1 else (-1,)
    first = _times(np.take(images, low, axis), (1 - share).reshape(wide)).astype(np.float32)
    second = _times(np.take(images, np.minimum(low + 1, source - 1), axis), share.reshape(wide))
    total: np.ndarray = (first + second).astype(np.float32)
    return total


def _times(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    product: np.ndarray = values.astype(np.float64) * weights.astype(np.float64)
    return product
