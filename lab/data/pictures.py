"""Picture files, photos and scans, read as grey numbers.

They come from strangers: size on disk and in pixels is checked before anything is decoded, and only a few formats are
tried at all.
"""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lab.errors import InputError

MAX_BYTES = 10 << 20
MAX_PIXELS = 50_000_000
_LONGEST = 2_048  # pixels a side; larger pictures are reduced at once
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


def read_picture(data: bytes, *, name: str = "the picture") -> np.ndarray:
    """Decode an image file to grey uint8 (H, W), upright, transparent parts on white; raises `InputError`."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} has {len(data):,} bytes, more than {MAX_BYTES:,}: make it smaller first.")
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as picture:
            wide, tall = picture.size
            if not 0 < wide * tall <= MAX_PIXELS:
                raise InputError(f"{name} has {wide}×{tall} pixels, more than {MAX_PIXELS:,}: make it smaller first.")
            upright = ImageOps.exif_transpose(picture)
            upright.thumbnail((_LONGEST, _LONGEST))
            if upright.mode in ("LA", "PA", "RGBA") or "transparency" in upright.info:
                layer = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return np.array(
                upright.convert("L")
            )  # a copy: what Pillow lends cannot be written to, and torch warns of that
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        known = ", ".join(_FORMATS[:5])
        reason = "its format is not known" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"{name} cannot be read as a picture ({reason}): use {known}.") from error
