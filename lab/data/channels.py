"""The two layouts of image stacks: grey images (N, H, W) and images with channels (N, C, H, W)."""

import numpy as np


def with_channels(images: np.ndarray) -> np.ndarray:
    """Return a stack as (N, C, H, W): grey images (N, H, W) gain their one channel. A view, not a copy."""
    return images[:, None] if images.ndim == 3 else images


def normalise_images(images_u8: np.ndarray, *, mean: float, std: float) -> np.ndarray:
    """Return the input of a network, x_BCHW float32, for uint8 images (B, H, W) or (B, C, H, W): (x / 255 - mean) / std."""
    x_BCHW = with_channels(images_u8).astype(np.float32)
    return (x_BCHW / np.float32(255) - np.float32(mean)) / np.float32(std)


def as_grey(images: np.ndarray) -> np.ndarray:
    """Return a stack uint8 as grey (N, H, W): the mean of the channels; grey images are returned as they are."""
    return images if images.ndim == 3 else np.rint(images.mean(axis=1)).astype(np.uint8)
