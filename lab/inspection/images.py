"""Which image to look at: one of the data set by number, or a picture file checked before it is used."""

import io
import warnings
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from lab.errors import InputError

LARGEST_BYTES = 20_000_000
LARGEST_PIXELS = 25_000_000


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


def pick_image(text: str, dataset: ImageSet, *, size: int) -> tuple[np.ndarray, int | None]:
    """Return (uint8 (size, size), label) for "test:7", "train:12", or a picture file's path (label None).

    Raises `InputError` for a number that is not there and for a file that is no such picture.
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
    return read_image(path.read_bytes(), size=size), None


def read_image(data: bytes, *, size: int, fit: bool = False) -> np.ndarray:
    """Return a picture file as uint8 (size, size), light ink on black as the data sets have it.

    A picture of another size or in colour raises `InputError`, unless `fit` asks to make it grey and resize it.
    """
    if len(data) > LARGEST_BYTES:
        raise InputError(
            f"The picture has {len(data):,} bytes, but at most {LARGEST_BYTES:,} are read: make it smaller."
        )
    picture = _open(data)
    if fit:
        return np.asarray(picture.convert("L").resize((size, size), Image.Resampling.LANCZOS))
    if picture.size != (size, size):
        raise InputError(
            f"The picture is {picture.width}×{picture.height} pixels, but the network's data are {size}×{size}: "
            "resize it, or choose to fit it."
        )
    pixels = np.asarray(picture.convert("RGB"))
    if (pixels[..., :1] != pixels).any():
        raise InputError(
            "The picture is in colour, but the network's data are grey: make it grey, or choose to fit it."
        )
    return np.ascontiguousarray(pixels[..., 0])


def is_on_paper(pixels: np.ndarray) -> bool:
    """Return whether a grey picture (H, W) is dark ink on light paper: most of its border is light."""
    border = np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
    return bool(np.median(border) > 127)  # the middle of uint8


def _open(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP", "GIF", "WEBP"))
            if picture.width * picture.height > LARGEST_PIXELS:
                raise InputError(
                    f"The picture has {picture.width * picture.height:,} pixels, but at most {LARGEST_PIXELS:,} are "
                    "read: make it smaller."
                )
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombWarning,
            Image.DecompressionBombError) as error:  # fmt: skip
        raise InputError("The file is no picture that can be read: use PNG, JPEG, BMP, GIF or WebP.") from error
    return picture
