"""Interpretation of a decoded picture's values: colour spaces, more than eight bits, floats, transparency."""

import numpy as np
from PIL import Image

_TRANSPARENT = 250  # alpha below which a pixel counts as transparent
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def colours_of(picture: Image.Image) -> np.ndarray:
    """Return float32 (H, W, C) in [0, 255]: one channel of grey, or three of RGB or CIELAB."""
    if _is_deep(picture):
        level: np.ndarray = _eight_bits(np.asarray(picture))[..., None]
        return level
    if picture.mode == "LAB":  # colour differences work as well in CIELAB as in RGB, and need no colour profile
        # Channel by channel, because the array of the whole picture has a and b as signed bytes.
        return np.stack([np.asarray(picture.getchannel(i), dtype=np.float32) for i in range(3)], axis=-1)
    if _has_alpha(picture):
        return _on_paper(np.asarray(_rgba(picture), dtype=np.float32))
    if picture.mode in ("1", "L"):
        return np.asarray(picture.convert("L"), dtype=np.float32)[..., None]
    return np.asarray(picture.convert("RGB"), dtype=np.float32)


def grey_of(picture: Image.Image) -> np.ndarray:
    """Return uint8 (H, W), transparent parts on white, as a writable copy."""
    if _is_deep(picture):
        whole: np.ndarray = np.rint(_eight_bits(np.asarray(picture))).astype(np.uint8)
        return whole
    if picture.mode == "LAB":
        return np.array(picture.getchannel(0))
    if _has_alpha(picture):
        layer = _rgba(picture)
        picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return np.array(picture.convert("L"))


def rgb_of(picture: Image.Image) -> np.ndarray:
    """Return uint8 (3, H, W), transparent parts on white."""
    layer = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), _rgba(picture))
    return np.ascontiguousarray(np.asarray(layer.convert("RGB")).transpose(2, 0, 1))


def _is_deep(picture: Image.Image) -> bool:
    """Whether a pixel is a single number of more than eight bits."""
    return picture.mode in ("I", "F") or picture.mode.startswith("I;16")


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("LA", "PA", "La", "RGBA", "RGBa") or "transparency" in picture.info


def _rgba(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    return picture.convert("RGBA")


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Return integers of any bit depth, or floats, scaled to float32 in [0, 255] by the smallest depth that fits.

    Scaling by the bit depth rather than by the largest value keeps the noise of a blank sheet from becoming ink.
    """
    level = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(level.min()), float(level.max())
    if low < 0:
        level, high = level - low, high - low
    if high <= 1.0:
        top = 1.0 if values.dtype.kind == "f" else 255.0
    else:
        top = next((float(2**bits - 1) for bits in (8, 10, 12, 14, 16) if high < 2**bits), high)
    scaled: np.ndarray = (level * (255.0 / top)).astype(np.float32)
    return scaled


def _on_paper(rgba: np.ndarray) -> np.ndarray:
    """Return a transparent picture float32 (H, W, 4) as RGB, on white if its visible part is dark, else on black."""
    alpha = rgba[..., 3:] / 255
    rgb = rgba[..., :3]
    weight = float(alpha.sum())
    if weight == 0 or float(alpha.min()) >= _TRANSPARENT / 255:  # everything or nothing is transparent
        return rgb
    visible = float((rgb @ _LUMA * alpha[..., 0]).sum()) / weight
    paper: np.ndarray = rgb * alpha + (255.0 if visible < 128 else 0.0) * (1 - alpha)
    return paper.astype(np.float32)


def is_on_paper(pixels: np.ndarray) -> bool:
    """Whether a grey picture (H, W) is dark ink on light paper, that is, most of its border is light."""
    return bool(np.median(border_of(pixels)) > 127)  # the middle of uint8


def border_of(pixels: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a grey picture (H, W)."""
    return np.concatenate([pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]])
