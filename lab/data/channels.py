"""The two layouts of image stacks: grey images (N, H, W) and images with channels (N, C, H, W)."""

import numpy as np


def with_channels(images: np.ndarray) -> np.ndarray:
    """Return a stack as (N, C, H, W): grey images (N, H, W) gain their one channel. A view, not a copy."""
    return images[:, None] if images.ndim == 3 else images


def as_grey(images: np.ndarray) -> np.ndarray:
    """Return a stack uint8 as grey (N, H, W): the mean of the channels; grey images are returned as they are."""
    return images if images.ndim == 3 else np.rint(images.mean(axis=1)).astype(np.uint8)
