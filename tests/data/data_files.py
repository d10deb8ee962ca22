"""Bytes of small data files in the published formats."""

import bz2
import struct

import numpy as np

_CODES = {"uint8": 8, "int32": 12}


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, _CODES[str(array.dtype)], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def usps_bytes(images: np.ndarray, labels: np.ndarray) -> bytes:
    """Write images of values in [-1, 1] (N, 16, 16) and labels 0-9 as the LIBSVM site does."""
    lines = []
    for image, label in zip(images.reshape(len(images), -1), labels, strict=True):
        pairs = " ".join(f"{index}:{value:.6g}" for index, value in enumerate(image, start=1))
        lines.append(f"{label + 1} {pairs} \n")
    return bz2.compress("".join(lines).encode())
