"""Arrays to pictures: feature maps, kernels and digits as the tiles of one PNG. Does not import torch.

A grid is a single picture because 32 maps are shown in 100 ms as one PNG and in 400 ms as 32 pictures. Browsers enlarge
it by nearest neighbour, so the PNG has one pixel per value.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from lab.data.channels import as_grey

# Anchor colours, dark to light. viridis is legible in print and with colour blindness.
_SCALES = {
    "grey": ((0, 0, 0), (255, 255, 255)),
    "viridis": (
        (68, 1, 84),
        (72, 40, 120),
        (62, 74, 137),
        (49, 104, 142),
        (38, 130, 142),
        (31, 158, 137),
        (53, 183, 121),
        (109, 205, 89),
        (180, 222, 44),
        (253, 231, 37),
    ),
    # blue, white, orange (ends of Brewer's PuOr and RdBu): zero is white, and colour-blind readers can tell the sign
    "diverging": (
        (5, 77, 145),
        (67, 147, 195),
        (170, 209, 232),
        (247, 247, 247),
        (253, 200, 140),
        (224, 130, 20),
        (150, 70, 5),
    ),
}
_STEPS = 256


@dataclass(frozen=True, slots=True)
class Sprite:
    """One PNG with `count` tiles of tile_width × tile_height pixels, `columns` per row."""

    png: bytes
    count: int
    columns: int
    tile_width: int
    tile_height: int


@cache
def colour_table(scale: str) -> np.ndarray:
    """Return a scale's 256 colours from low to high, uint8 RGB (256, 3). The array is cached: do not modify it."""
    anchors = np.asarray(_SCALES[scale], float)
    at = np.linspace(0, 1, len(anchors))
    table = np.stack([np.interp(np.linspace(0, 1, _STEPS), at, anchors[:, c]) for c in range(3)], axis=1)
    return np.asarray(table.round().astype(np.uint8))


def plotly_scale(scale: str) -> list[tuple[float, str]]:
    """Return a scale's colours from low (0) to high (1) as a `colorscale` of Plotly."""
    colours = colour_table(scale)[::15]
    return [(at / (len(colours) - 1), f"rgb({r},{g},{b})") for at, (r, g, b) in enumerate(colours)]


def colour(values: np.ndarray, *, low: float, high: float, scale: str = "viridis") -> np.ndarray:
    """Return uint8 RGB (…, 3): low has the scale's first colour, high its last, non-finite values are magenta.

    If all values are equal, they have the first colour, or that of zero on a diverging scale.
    """
    span = high - low
    finite = np.isfinite(values)
    equal = np.full(values.shape, 0.5 if scale == "diverging" else 0.0)
    share = np.clip((np.where(finite, values, low) - low) / span, 0, 1) if span > 0 else equal
    rgb: np.ndarray = colour_table(scale)[np.round(share * (_STEPS - 1)).astype(int)]
    rgb[~finite] = (255, 0, 255)
    return rgb


def limits(values: np.ndarray, *, signed: bool) -> tuple[float, float]:
    """Return (low, high) of the finite values, symmetric around zero if `signed`; (0, 0) if there are none."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 0.0
    if signed:
        bound = float(np.abs(finite).max())
        return 0.0 - bound, bound  # not -0
    return float(finite.min()), float(finite.max())


def paint(values_NHW: np.ndarray, *, scale: str = "viridis", each: bool = False) -> np.ndarray:
    """Return uint8 tiles (N, H, W, 3) on a common scale, or on one scale per tile if `each`."""
    signed = scale == "diverging"
    if each:
        return np.stack([_painted(tile, limits(tile, signed=signed), scale) for tile in values_NHW])
    return _painted(values_NHW, limits(values_NHW, signed=signed), scale)


def _painted(values: np.ndarray, bounds: tuple[float, float], scale: str) -> np.ndarray:
    return colour(values, low=bounds[0], high=bounds[1], scale=scale)


def pack(tiles_NHW3: np.ndarray) -> Sprite:
    """Return the tiles as one roughly square PNG."""
    count, height, width, _ = tiles_NHW3.shape
    columns = max(1, math.ceil(math.sqrt(count)))
    rows = max(1, math.ceil(count / columns))
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, tile in enumerate(tiles_NHW3):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return Sprite(encode(sheet), count, columns, width, height)


def grid(tiles_NHW3: np.ndarray, *, columns: int = 8, enlarge: int = 1, gap: int = 4) -> bytes:
    """Return the tiles as a PNG for export: enlarged by nearest neighbour, with white gaps between them."""
    big = tiles_NHW3.repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    count, height, width, _ = big.shape
    across = min(columns, count)
    rows = math.ceil(count / across)
    sheet = np.full((rows * (height + gap) + gap, across * (width + gap) + gap, 3), 255, np.uint8)
    for index, tile in enumerate(big):
        row, column = divmod(index, across)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return encode(sheet)


def sheet(tiles_NHW3: np.ndarray, *, columns: int = 8) -> np.ndarray:
    """Return the tiles in rows of `columns`, with grey lines between them: uint8 (H, W, 3)."""
    count, tall, wide, _ = tiles_NHW3.shape
    across = min(columns, count)
    gap = max(1, wide // 14)
    rows = -(-count // across)
    laid = np.full((rows * (tall + gap) - gap, across * (wide + gap) - gap, 3), 128, np.uint8)
    for index, tile in enumerate(tiles_NHW3):
        top, left = index // across * (tall + gap), index % across * (wide + gap)
        laid[top : top + tall, left : left + wide] = tile
    return laid


def image_tiles(images_u8: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
    """Return uint8 images, grey (N, H, W) or with channels (N, C, H, W), as tiles (N, H, W, 3).

    Three channels are shown as red, green and blue; any other number of channels is shown as their mean.
    """
    images = np.asarray(images_u8, np.uint8)
    if images.ndim == 4 and images.shape[1] == 3:
        return images.transpose(0, 2, 3, 1)
    return np.repeat(as_grey(images)[..., None], 3, axis=-1)


def blend(image_u8: np.ndarray, values: np.ndarray, *, scale: str = "diverging") -> np.ndarray:
    """Return the image (H, W) or (C, H, W) overlaid with values (H, W): the larger a value, the less shows through."""
    low, high = limits(values, signed=scale == "diverging")
    ink = colour(values, low=low, high=high, scale=scale).astype(float)
    strength = np.abs(np.nan_to_num(values)) / max(abs(low), abs(high), 1e-12)
    share = np.clip(0.25 + 0.75 * strength, 0, 0.9)[..., None]
    grey = image_tiles(image_u8[None])[0].astype(float) * 0.6
    return np.asarray((ink * share + grey * (1 - share)).round().astype(np.uint8))


def encode(rgb: np.ndarray) -> bytes:
    """Return uint8 (H, W, 3) as PNG bytes."""
    out = io.BytesIO()
    Image.fromarray(rgb).save(out, format="PNG", compress_level=1)
    return out.getvalue()
