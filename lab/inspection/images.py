"""Resolves the image to inspect: one of the data set, by number, or a picture file, which is validated first."""

from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from lab.data.pictures import read_channels
from lab.data.pixels import border_of
from lab.errors import InputError


class ImageSet(Protocol):
    """The four arrays of a data set that images are taken from."""

    @property
    def train_images(self) -> np.ndarray: ...
    @property
    def train_labels(self) -> np.ndarray: ...
    @property
    def test_images(self) -> np.ndarray: ...
    @property
    def test_labels(self) -> np.ndarray: ...


def pick_image(text: str, dataset: ImageSet, *, size: int, channels: int = 1) -> tuple[np.ndarray, int | None]:
    """Return image and label for "test:7", "train:12" or the path of a picture file, whose label is None.

    The image is uint8 (size, size) or (channels, size, size). Raises `InputError` for a number out of range and for a
    file that is not a picture of this size.
    """
    part, _, number = text.partition(":")
    if part in ("test", "train") and number:
        images = dataset.test_images if part == "test" else dataset.train_images
        labels = dataset.test_labels if part == "test" else dataset.train_labels
        if not (number.isdecimal() and len(number) < 10) or int(number) >= len(images):
            raise InputError(f"The image is {text!r}, but {part}: must be followed by 0 to {len(images) - 1}.")
        return images[int(number)], int(labels[int(number)])
    path = Path(text)
    if not path.is_file():
        raise InputError(f"The image is {text!r}: give test:N, train:N, or the path of a picture file.")
    return read_image(path.read_bytes(), size=size, channels=channels, name=text), None


def read_image(
    data: bytes, *, size: int, channels: int = 1, fit: bool = False, name: str = "the picture"
) -> np.ndarray:
    """Return a picture file as uint8, grey (size, size) or (3, size, size).

    Colours are not inverted: for grey data sets, the picture must show light ink on black.
    fit: pad a picture of another size to a square with its background colour and resize it; otherwise it raises
    `InputError`.
    """
    pixels = read_channels(data, channels=channels, name=name)
    tall, wide = pixels.shape[-2:]
    if (tall, wide) == (size, size):
        return pixels
    if not fit:
        raise InputError(
            f"{name} has {wide}×{tall} pixels, but the network expects {size}×{size}: resize it, or choose to fit it."
        )
    if pixels.ndim == 2:
        return _fitted(pixels, size)
    return np.stack([_fitted(channel, size) for channel in pixels])


def _fitted(channel: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 (H, W) padded to a square with its background colour and resized to (size, size)."""
    tall, wide = channel.shape
    side = max(tall, wide)
    square = Image.new("L", (side, side), int(np.median(border_of(channel))))
    square.paste(Image.fromarray(channel), ((side - wide) // 2, (side - tall) // 2))
    return np.array(square.resize((size, size), Image.Resampling.LANCZOS))
