"""Two digits that touch: a picture like no training picture of the class it was read as, which falls apart along a short cut.

Either alone is said of many digits: handwriting varies, and a 4 falls apart into two strokes.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

from lab.sketch.boxes import extent

_BLUR = 1.0  # pixels: strokes a pixel apart are still alike
_FINE = 2  # pictures are cut at this multiple of their resolution
_SOLID = 100  # ink level that counts as stroke
_WIDE = 0.85  # share of its class that is narrower than what counts as wide
_WIDER = 0.4  # the same of what may be two where the network finds it strange, too
_NECK = 5.0  # pixels of ink that such a cut goes through at most
_TALL = 0.7  # height of both parts by the whole's height, at least
_SIDE = 0.2  # share of the width at each side in which no cut is looked for
_BEND = 4  # columns of the enlarged picture by which a cut leaves its own to each side


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Training pictures to compare with: blurred unit vectors (N, H·W) and their classes (N,).

    least: the cosine to the nearest one of its class that is still usual for a picture read rightly; typical: the one
    from which on a picture counts as typical. widths: width by height of each training picture's ink (N,).
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
        """Whether a picture uint8 (H, W) that was read as class `label` is rather wide for it and falls apart."""
        return self._narrower(image, label) > _WIDER and least_cut(image) <= _NECK

    def is_typical(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) that was read as class `label` is like the training pictures of that class."""
        return self._likeness(image, label) >= self.typical

    def is_wide(self, image: np.ndarray, label: int) -> bool:
        """Whether a picture uint8 (H, W) is wider by its height than most training pictures of class `label`."""
        return self._narrower(image, label) > _WIDE

    def _narrower(self, image: np.ndarray, label: int) -> float:
        """Return the share of training pictures of a class that are narrower by their height, 0 where there is none."""
        own = self.widths[self.classes == label] if len(self.widths) else self.widths
        return float((own < width_by_height(image)).mean()) if len(own) else 0.0

    def _likeness(self, image: np.ndarray, label: int) -> float:
        """Return the cosine to the nearest training picture of a class, 1 where there is none."""
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
    """Learn what pictures read rightly look like: uint8 (B, H, W) beside training pictures (N, H, W), and their classes.

    share: of those pictures that may count as unusual; untypical: that are not typical.
    """
    bank = blurred_rows(known)
    alike = blurred_rows(images) @ bank.T
    alike[classes[:, None] != known_classes[None]] = -1
    least, typical = np.quantile(alike.max(axis=1), [share, untypical])
    return Looks(bank, known_classes, float(least), float(typical), np.array([width_by_height(each) for each in known]))


def width_by_height(image: np.ndarray) -> float:
    """Return the width of a picture's ink, uint8 (H, W), by its height; 0 without ink."""
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
    """Return the least ink, in pixels, that a cut from top to bottom goes through which leaves two tall parts.

    image: uint8 (H, W), light ink on black. Infinity where no cut leaves two.
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
    """Return for each middle column the cut near it through the least ink: columns int (M, H), and that ink (M,).

    ink: bool (H, W). From row to row a cut moves by one column at most, and leaves its own by `bend` at most (dynamic
    programming, as in seam carving).
    """
    padded = np.pad(ink.astype(np.float32), ((0, 0), (bend, bend)), constant_values=1)
    columns = middles[:, None] + np.arange(2 * bend + 1)[None]  # in the padded picture
    near = padded[:, columns]  # (H, M, 2 * bend + 1)
    total = near[0]
    came = np.zeros(near.shape, np.int8)
    for row in range(1, len(near)):
        wider = np.pad(total, ((0, 0), (1, 1)), constant_values=np.inf)
        choices = np.stack((wider[:, 1:-1], wider[:, :-2], wider[:, 2:]))
        came[row] = choices.argmin(axis=0)  # straight on where that costs no more
        total = choices.min(axis=0) + near[row]
    at = total.argmin(axis=1)
    cost = total[np.arange(len(middles)), at]
    cuts = np.empty((len(middles), len(near)), int)
    for row in range(len(near) - 1, -1, -1):
        cuts[:, row] = at + middles - bend
        step = came[row][np.arange(len(middles)), at]
        at = at + np.array([0, -1, 1])[step]
    return cuts, cost
