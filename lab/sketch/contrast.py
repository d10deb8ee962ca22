"""Measures how much a photo's pixels differ from paper, independent of light, polarity and colours.

Light multiplies what paper reflects, so the logarithms of pixels are compared with the paper around them: the median of
a neighbourhood wide enough for ink to be a minority, which preserves the edges of shadows. The channels are combined
along the direction in which ink differs most from paper (the principal axis of the strong differences).
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from lab.sketch.levels import is_crowded, paper_of_two_levels

_DARK = 12.0  # grey levels added before the logarithm, so that noise in black areas does not count as ink
_PAPER_SIDE = 160  # longer side, in pixels, at which paper is estimated
_REACH = 0.5  # width of the neighbourhood as a share of the shorter side
_NOISE = 5.0  # ink differs from paper by at least this many standard deviations of the noise
MIN_CONTRAST = 0.14  # least logarithmic difference of ink: 14 % more or less light than the paper


@dataclass(frozen=True, slots=True, eq=False)
class Contrast:
    """The contrast of a picture.

    ink: float32 (H, W), logarithmic difference from paper, positive for ink. least: differences below this may be
    noise. paper: its level float32 (H, W, C), 0 to 255, if it is known everywhere (`lab.sketch.levels`), else None.
    """

    ink: np.ndarray
    least: float
    paper: np.ndarray | None = None


def measure_contrast(picture: np.ndarray) -> Contrast:
    """Return the contrast of a picture, float32 (H, W, C) from 0 to 255, with the paper around each pixel."""
    level = _level(picture)
    return _measured(level, _paper(level))


def measure_flat_contrast(picture: np.ndarray) -> Contrast | None:
    """Return the same for a picture of only ink and paper that is crowded with ink, else None.

    In such a picture the median of a neighbourhood may be ink, but the paper is known for the whole picture.
    """
    level = _level(picture)
    small, reach = _reduced(level)
    found = paper_of_two_levels(small)
    if found is None or not is_crowded(found[1], reach):
        return None
    paper = _enlarged(found[0], level)
    return replace(_measured(level, paper), paper=np.exp(paper) - _DARK)


def _level(picture: np.ndarray) -> np.ndarray:
    level = np.log(np.maximum(picture, 0) + _DARK).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(level, (0, 0), 0.7).reshape(picture.shape))


def _measured(level: np.ndarray, paper: np.ndarray) -> Contrast:
    difference = level - paper
    along = difference @ _direction(difference)
    quiet = along - cv2.medianBlur(np.ascontiguousarray(along), 5)
    noise = 1.4826 * float(np.median(np.abs(quiet)))
    return Contrast(along, max(MIN_CONTRAST, _NOISE * noise))


def _reduced(level: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a level (H, W, C) reduced to the size at which paper is estimated, and the neighbourhoods' width there."""
    tall, wide = level.shape[:2]
    scale = min(1.0, _PAPER_SIDE / max(tall, wide))
    size = max(1, round(wide * scale)), max(1, round(tall * scale))
    small = cv2.resize(level, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    return small, min(255, max(3, int(_REACH * min(size)) | 1))


def _enlarged(paper: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Return the reduced paper (h, w, C) enlarged to the size of a level (H, W, C)."""
    large = cv2.resize(paper, level.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large.reshape(level.shape))


def _paper(level: np.ndarray) -> np.ndarray:
    """Return the paper's logarithmic level at each pixel: the median of a wide neighbourhood."""
    small, reach = _reduced(level)
    low, high = float(small.min()), float(small.max())
    if high - low < 1e-6:
        return level
    whole = np.rint((small - low) * (255 / (high - low))).astype(np.uint8)
    half = reach // 2
    tall, wide = small.shape[:2]
    wider = cv2.copyMakeBorder(whole, half, half, half, half, cv2.BORDER_REFLECT_101).reshape(
        tall + 2 * half, wide + 2 * half, -1
    )
    planes = [cv2.medianBlur(np.ascontiguousarray(wider[..., c]), reach) for c in range(wider.shape[2])]
    median = np.stack(planes, axis=-1)[half : half + tall, half : half + wide].astype(np.float32)
    return _enlarged(median * ((high - low) / 255) + low, level)


def _direction(difference: np.ndarray) -> np.ndarray:
    """Return the unit vector (C,) of the principal axis of the strong differences, pointing from paper to ink."""
    rows = difference.reshape(-1, difference.shape[2])
    strength = np.einsum("nc,nc->n", rows, rows)
    strong = rows[strength > max(MIN_CONTRAST**2, 0.25 * float(strength.max()))]
    if not len(strong):
        return np.asarray(np.eye(rows.shape[1], dtype=np.float32)[0])
    _, axes = np.linalg.eigh(strong.T @ strong)
    axis = np.asarray(axes[:, -1], dtype=np.float32)
    along = strong @ axis
    return axis if float((along * np.abs(along)).sum()) >= 0 else -axis
