"""Picture files, photos and scans, decoded to arrays in at most a second of CPU time.

Files are untrusted: their size, format and number of pixels (from the header) are checked before anything is decoded,
large JPEGs are reduced during decoding, and a budget limits how many frames of an animation are examined.
`lab.data.pixels` interprets the decoded values (modes, bit depths, transparency).
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from lab.data.pixels import colours_of, grey_of, rgb_of
from lab.errors import InputError
from lab.system_errors import reason, remedy

MAX_BYTES = 10 << 20
MAX_PIXELS = 50_000_000  # of a picture that cannot be reduced during decoding
MAX_SAMPLES = 120_000_000  # pixels times channels of such a picture: about half a second
MAX_JPEG_PIXELS = 250_000_000  # decoded at an eighth of their size: about 0.2 s
MAX_PROGRESSIVE_PIXELS = 100_000_000  # decoding a progressive JPEG holds all coefficients, three bytes per pixel
LONGEST = 2_048  # pixels of the longer side; larger pictures are reduced
FRAME_BUDGET = 24_000_000  # total pixels of all frames examined
FRAME_COST = 12_000  # pixels charged for a frame at least
_FRAME_VIEW = 128  # pixels per side at which frames are compared
_ANIMATED = ("GIF", "PNG", "WEBP", "TIFF")
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
_HEIC = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
EXTENSIONS = ("png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "heic", "heif")


def read_file(path: Path, *, name: str) -> bytes:
    """Return the bytes of a picture's file. name: of the file in messages. Raises `InputError`."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # /dev/zero has no end
    except OSError as error:
        how = remedy(error, "give the path of an image file")
        raise InputError(f"{name} cannot be read ({reason(error)}): {how}.") from error
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} has more than {MAX_BYTES:,} bytes: reduce it first.")
    return data


def read_picture(data: bytes, *, name: str = "the picture") -> np.ndarray:
    """Decode an image file to grey uint8 (H, W), upright, transparent parts on white.

    Raises `InputError` if the file cannot be read.
    """
    with _decoded(data, name) as picture:
        return grey_of(picture)


def read_colours(data: bytes, *, name: str = "the picture") -> np.ndarray:
    """Decode an image file to float32 (H, W, C) in [0, 255], upright: one grey channel, or three of RGB or CIELAB.

    Transparent parts get the background (white or black) on which the drawing is visible. Raises `InputError` if the
    file cannot be read.
    """
    with _decoded(data, name) as picture:
        return colours_of(picture)


def read_channels(data: bytes, *, channels: int, name: str = "the picture") -> np.ndarray:
    """Decode an image file for a network with `channels` input channels: uint8 (H, W) for 1, (3, H, W) for 3.

    Raises `InputError` for a file that cannot be read, and for any other number of channels.
    """
    if channels == 1:
        return read_picture(data, name=name)
    if channels != 3:
        raise InputError(
            f"{name} is a colour or grey picture, but the network's images have {channels} channels: choose an image "
            "of the data set."
        )
    with _decoded(data, name) as picture:
        return rgb_of(picture)


@contextmanager
def _decoded(data: bytes, name: str) -> Iterator[Image.Image]:
    """Yield the decoded picture, reduced and upright. Any error of a decoder is raised as `InputError`."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name} has {len(data):,} bytes, more than {MAX_BYTES:,}: make it smaller first.")
    try:
        with _open(data, name) as picture:
            _check_size(picture, name)
            yield _upright(_fullest_frame(picture))
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(f"{name} has more than {MAX_PIXELS:,} pixels: make it smaller first.") from error
    except Exception as error:  # Pillow's plugins raise many types on damaged files
        known = ", ".join(_FORMATS[:5])
        reason = "its format is not known" if isinstance(error, UnidentifiedImageError) else _short(error)
        raise InputError(f"{name} cannot be read as a picture ({reason}): use {known}.") from error


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 90 else f"{text[:89]}…"


def _open(data: bytes, name: str) -> Image.Image:
    if data[:3] == b"\xff\xd8\xff":
        # Not `Image.open`, which refuses more than 180 megapixels, although a JPEG can be reduced during decoding.
        return JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    formats: tuple[str, ...] = _FORMATS
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC:
        _register_heif(name)
        formats = ("HEIF",)
    return Image.open(io.BytesIO(data), formats=formats)


def _register_heif(name: str) -> None:
    try:
        from pillow_heif import register_heif_opener
    except ImportError as error:
        raise InputError(
            f"{name} is a HEIC photo, which needs the package pillow-heif: install it (pip install pillow-heif) or "
            "save the photo as JPEG."
        ) from error
    register_heif_opener(thumbnails=False)


def _check_size(picture: Image.Image, name: str) -> None:
    """Raise `InputError` if, by its header, the picture would take more than a second to decode."""
    wide, tall = picture.size
    pixels, limit, what = wide * tall, MAX_PIXELS, ""
    if picture.format == "JPEG":
        progressive = bool(picture.info.get("progressive"))
        limit = MAX_PROGRESSIVE_PIXELS if progressive else MAX_JPEG_PIXELS
    elif pixels * len(picture.getbands()) > MAX_SAMPLES:
        limit, what = MAX_SAMPLES // len(picture.getbands()), f" in {len(picture.getbands())} channels"
    if not 0 < pixels <= limit:
        raise InputError(f"{name} has {wide}×{tall} pixels{what}, more than {limit:,}: make it smaller first.")


def _fullest_frame(picture: Image.Image) -> Image.Image:
    """Return the reduced picture; of an animation or a multi-page file, the frame with the most ink."""
    # Frames are visited one by one, because `is_animated` and `n_frames` would read the whole file.
    if picture.format not in _ANIMATED:
        return _reduced(picture)
    best, most, spent, number = None, -1.0, 0, 0
    while True:
        frame = _reduced(picture) if best is None else None
        view = _view(frame if frame is not None else picture)
        ink = float(np.abs(view - np.median(view)).sum())
        if ink > most:
            best, most = frame if frame is not None else _reduced(picture), ink
        spent += max(picture.size[0] * picture.size[1], FRAME_COST)
        number += 1
        try:
            picture.seek(number)
        except (EOFError, ValueError, OSError, SyntaxError):  # the last frame, or a damaged one after it
            break
        if spent + picture.size[0] * picture.size[1] > FRAME_BUDGET:
            break
    assert best is not None
    return best


def _view(frame: Image.Image) -> np.ndarray:
    small = frame.resize((min(_FRAME_VIEW, frame.size[0]), min(_FRAME_VIEW, frame.size[1])), Image.Resampling.NEAREST)
    return grey_of(small).astype(np.float32)


def _reduced(picture: Image.Image) -> Image.Image:
    """Return the decoded picture, its longer side at most `LONGEST` pixels."""
    longest = max(picture.size)
    if picture.format == "JPEG":
        picture.draft(
            None, (max(1, picture.size[0] * LONGEST // longest), max(1, picture.size[1] * LONGEST // longest))
        )
    picture.load()
    factor = -(-max(picture.size) // LONGEST)
    if factor == 1:
        return picture.copy()
    if picture.mode in ("P", "PA", "1"):
        picture = picture.convert("RGBA" if "transparency" in picture.info or picture.mode == "PA" else "RGB")
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
    reduced = picture.reduce((min(factor, picture.size[0]), min(factor, picture.size[1])))
    reduced.info = dict(picture.info)
    return reduced


def _upright(picture: Image.Image) -> Image.Image:
    return ImageOps.exif_transpose(picture)
