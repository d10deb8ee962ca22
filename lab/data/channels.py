"""The two layouts of image stacks: grey images (N, H, W) and images with channels (N, C, H, W)."""

import numpy as np


def with_channels(images: np.ndarray) -> np.ndarray:
    """Return a stack as (N, C, H, W), adding the channel axis to grey images (N, H, W). A view, not a copy."""
    return images[:, None] if images.ndim == 3 else images


def normalise_images(images_u8: np.ndarray, *, mean: float, std: float) -> np.ndarray:
    """Return uint8 images (B, H, W) or (B, C, H, W) as a network's input x_BCHW, float32: (x / 255 - mean) / std."""
    x_BCHW = with_channels(images_u8).astype(np.float32)
    return (x_BCHW / np.float32(255) - np.float32(mean)) / np.float32(std)


def as_grey(images: np.ndarray) -> np.ndarray:
    """Return a uint8 stack as grey (N, H, W), the mean of the channels; grey images are returned unchanged."""
    return images if images.ndim == 3 else np.rint(images.mean(axis=1)).astype(np.uint8)
