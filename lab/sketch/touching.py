"""Detects two digits that touch: a picture unlike the training pictures of its class that a short cut divides in two.

Each criterion alone applies to many digits: handwriting varies, and a 4 can be divided into two strokes.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from lab.sketch.boxes import extent

_BLUR = 1.0  # pixels: strokes a pixel apart are still similar
_FINE = 2  # cuts are searched for at this multiple of a picture's resolution
_SOLID = 100  # ink level that counts as stroke
_WIDE = 0.85  # a wide picture is wider than this share of its class
_WIDER = 0.4  # the same share if the network finds the picture strange as well
_NECK = 5.0  # maximum ink in pixels that such a cut passes through
_TALL = 0.7  # least height of both parts, relative to the whole
_SIDE = 0.2  # share of the width at each side in which no cut is tried
_BEND = 4  # maximum deviation of a cut from its column, in columns of the enlarged picture


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Training pictures to compare with: blurred unit vectors (N, H·W) and their classes (N,).

    least: the least usual cosine similarity of a correctly read picture to the nearest one of its class. typical: the
    similarity from which a picture counts as typical. widths: width / height of each training picture's ink (N,).
    """

    bank: np.ndarray
    classes: np.ndarray
    least: float
    typical: float = 0.0
    widths: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def may_touch(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) that was read as class `label` may be two digits that touch."""
        return self._likeness(image, label) < self.least and least_cut(image) <= _NECK

    def is_like_two(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) that was read as class `label` is rather wide for it and has a short cut."""
        return self._narrower(image, label) > _WIDER and least_cut(image) <= _NECK

    def is_typical(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) that was read as class `label` is similar to a training picture of it."""
        return self._likeness(image, label) >= self.typical

    def is_wide(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) is wider for its height than most training pictures of class `label`."""
        return self._narrower(image, label) > _WIDE

    def _narrower(self, image: np.ndarray, label: int) -> float:
        """Return the share of a class's training pictures that are narrower for their height, 0 if there are none."""
        own = self.widths[self.classes == label] if len(self.widths) else self.widths
        return float((own < width_by_height(image)).mean()) if len(own) else 0.0

    def _likeness(self, image: np.ndarray, label: int) -> float:
        """Return the cosine similarity to the nearest training picture of a class, 1 if there are none."""
        own = self.bank[self.classes == label]
        return float((own @ blurred_rows(image[None])[0]).max()) if len(own) else 1.0


def learn_looks(
    images: np.ndarray,
    classes: np.ndarray,
    known: np.ndarray,
    known_classes: np.ndarray,
    *,
    share: float,
    untypical: float = 0.0,
) -> Looks:
    """Return the limits learned from correctly read pictures, uint8 (B, H, W), and training pictures (N, H, W).

    classes, known_classes: their classes. share: the share of the pictures that may count as unusual. untypical: the
    share that is not typical.
    """
    bank = blurred_rows(known)
    alike = blurred_rows(images) @ bank.T
    alike[classes[:, None] != known_classes[None]] = -1
    least, typical = np.quantile(alike.max(axis=1), [share, untypical])
    return Looks(bank, known_classes, float(least), float(typical), np.array([width_by_height(each) for each in known]))


def width_by_height(image: np.ndarray) -> float:
    """Return width / height of the ink in a picture uint8 (H, W); 0 if there is none."""
    found = extent(image >= _SOLID)
    if found is None:
        return 0.0
    top, left, bottom, right = found
    return (right - left) / (bottom - top)


def blurred_rows(images_BHW: np.ndarray) -> np.ndarray:
    """Return pictures (B, H, W) as blurred unit vectors float32 (B, H·W); a black one stays zero."""
    rows = np.stack([cv2.GaussianBlur(image.astype(np.float32), (0, 0), _BLUR).ravel() for image in images_BHW])
    unit: np.ndarray = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def least_cut(image: np.ndarray) -> float:
    """Return the least ink, in pixels, on a cut from top to bottom that leaves two tall parts; infinity if none does.

    image: uint8 (H, W), light ink on black.
    """
    large = cv2.resize(image, None, fx=_FINE, fy=_FINE, interpolation=cv2.INTER_CUBIC)
    solid = large >= _SOLID
    found = extent(solid)
    if found is None:
        return float("inf")
    top, left, bottom, right = found
    ink = solid[top:bottom, left:right]
    tall, wide = ink.shape
    margin = round(_SIDE * wide) + 1
    middles = np.arange(margin, wide - margin)
    if not len(middles):
        return float("inf")
    cuts, cost = cheapest_cuts(ink, middles, bend=_BEND)
    across = np.arange(wide)[None, None]
    sides = (ink[None] & (across < cuts[..., None]), ink[None] & (across > cuts[..., None]))
    heights = [side.any(axis=2).sum(axis=1) for side in sides]
    both = np.minimum(*heights) >= _TALL * tall
    return float(cost[both].min()) / _FINE if both.any() else float("inf")


def cheapest_cuts(ink: np.ndarray, middles: np.ndarray, *, bend: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cut with the least ink near each column of `middles`, as columns int (M, H), and that ink (M,).

    ink: bool (H, W). A cut moves by at most one column from row to row and deviates from its middle column by at most
    `bend` (dynamic programming, as in seam carving).
    """
    padded = np.pad(ink.astype(np.float32), ((0, 0), (bend, bend)), constant_values=1)
    columns = middles[:, None] + np.arange(2 * bend + 1)[None]  # in the padded picture
    near = padded[:, columns]  # (H, M, 2 * bend + 1)
    total = near[0]
    came = np.zeros(near.shape, np.int8)
    for row in range(1, len(near)):
        wider = np.pad(total, ((0, 0), (1, 1)), constant_values=np.inf)
        choices = np.stack((wider[:, 1:-1], wider[:, :-2], wider[:, 2:]))
        came[row] = choices.argmin(axis=0)  # ties continue straight
        total = choices.min(axis=0) + near[row]
    at = total.argmin(axis=1)
    cost = total[np.arange(len(middles)), at]
    cuts = np.empty((len(middles), len(near)), int)
    for row in range(len(near) - 1, -1, -1):
        cuts[:, row] = at + middles - bend
        step = came[row][np.arange(len(middles)), at]
        at = at + np.array([0, -1, 1])[step]
    return cuts, cost
