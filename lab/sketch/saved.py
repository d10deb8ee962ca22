"""Drawings as files: the PNG in which they are saved, and downloads as PNG or idx."""

import io
import zipfile
from collections.abc import Sequence

import numpy as np
from PIL import Image

from lab.data.local import idx_bytes
from lab.data.recipes import Recipe
from lab.errors import InputError
from lab.sketch.normalise import normalise
from lab.sketch.sketch import MAX_SIDE, Sketch

_SAVED_SIDE = 280  # pixels; larger drawings (photos) are reduced to this size


def encode_ink(sketch: Sketch) -> bytes:
    """Return the ink as a grey PNG, light on black, at most 280 pixels a side."""
    picture = Image.fromarray(np.ascontiguousarray(sketch.ink))
    picture.thumbnail((_SAVED_SIDE, _SAVED_SIDE))
    out = io.BytesIO()
    picture.save(out, format="PNG", optimize=True)
    return out.getvalue()


def decode_ink(png: bytes) -> Sketch:
    """Return the drawing in a PNG of `encode_ink`. Raises `InputError` for anything else."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            if max(picture.size) > MAX_SIDE:
                raise InputError(f"The saved drawing is {picture.size}, larger than {MAX_SIDE} pixels: delete it.")
            return Sketch(np.asarray(picture.convert("L")), "saved")
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"A saved drawing cannot be read ({error}): delete it.") from error


def zip_pngs(drawings: Sequence[tuple[str, str, bytes]]) -> bytes:
    """Return a zip of (id, label, PNG) as `label/id.png`; labels become plain folder names."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for each, label, png in drawings:
            folder = "".join(c if c.isalnum() else "-" for c in label) or "none"
            archive.writestr(f"{folder}/{each}.png", png)
    return out.getvalue()


def zip_idx(drawings: Sequence[Sketch], labels: Sequence[int], *, recipe: Recipe) -> bytes:
    """Return a zip of the normalised drawings in MNIST's format: a file of images and one of labels (class numbers)."""
    images = normalise_all(drawings, recipe=recipe)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sketches-images-idx3-ubyte", idx_bytes(images))
        archive.writestr("sketches-labels-idx1-ubyte", idx_bytes(np.array(labels, dtype=np.uint8)))
    return out.getvalue()


def normalise_all(drawings: Sequence[Sketch], *, recipe: Recipe) -> np.ndarray:
    """Return the normalised drawings, uint8 (N, side, side) with the recipe's side."""
    if not drawings:
        return np.zeros((0, recipe.side, recipe.side), dtype=np.uint8)
    return np.stack([normalise(drawing, recipe=recipe) for drawing in drawings])
