"""Normalises a drawing as the authors of a data set normalised theirs, in steps that can be shown and switched off.

MNIST (LeCun et al. 1998): the digit's longer side is scaled to 20 pixels with anti-aliasing, preserving its aspect
ratio, and placed in 28×28 so that its centre of mass is in the middle (pixel 14, as the files show). Scaling and
centring are one resampling with a fractional frame, so a shifted drawing gives nearly the same picture. The pen step is
our addition: strokes far thinner or thicker than the data's are redrawn at the nearest width that occurs in the data.
The built-in digits were sheared upright and stretched to one box by their authors (NISTIR 5469), so drawings for them
are too, as part of scaling.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from lab.data.recipes import Recipe
from lab.data.resize import resize_images
from lab.sketch.boxes import extent
from lab.sketch.sketch import SEEN, Sketch

_THUMBNAIL = 112  # largest side, in pixels
FINE = 4  # the pen is redrawn at this multiple of the field's resolution
_MAX_SLANT = 1.0  # tangent; flatter strokes are not slanted handwriting
_MAX_STRETCH = 2.5  # maximum change of the aspect ratio: a bare stroke has no width that could be stretched
STEPS = ("crop", "pen", "scale", "smooth", "centre")
ALL_STEPS = frozenset(STEPS)
STEP_TITLES = {
    "ink": "Your ink",
    "crop": "Cut out",
    "pen": "Pen width",
    "scale": "Scaled",
    "smooth": "Anti-aliased",
    "centre": "Centred",
}


@dataclass(frozen=True, slots=True, eq=False)
class StepPicture:
    """The result of one step: its id, a title, the picture uint8 (H, W), and a short note on what it did."""

    step: str
    title: str
    picture: np.ndarray
    note: str


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measures of a drawing's ink: the crop uint8 (H, W), its position on the canvas, stroke width, centre of mass.

    All in pixels of the drawing.
    """

    crop: np.ndarray
    top: int
    left: int
    canvas: tuple[int, int]
    width: float
    mass: tuple[float, float]  # (x, y) from the crop's left upper corner, in pixel edges

    @property
    def longest(self) -> int:
        """The crop's longer side in pixels."""
        tall, wide = self.crop.shape
        return int(max(tall, wide))


def measure(sketch: Sketch) -> Measured | None:
    """Return the measures of a drawing's ink; None for an empty drawing."""
    ink = sketch.ink
    box = extent(ink >= SEEN)
    if box is None:
        return None
    top, left, bottom, right = box
    crop = ink[top:bottom, left:right]
    return Measured(crop, top, left, ink.shape, stroke_width(crop), _mass(crop))


def _mass(crop: np.ndarray) -> tuple[float, float]:
    """Return the centre of mass (x, y) in pixel edges."""
    return (_mean_place(crop.sum(axis=0, dtype=np.float64)), _mean_place(crop.sum(axis=1, dtype=np.float64)))


def _mean_place(weights: np.ndarray) -> float:
    return float(weights @ (np.arange(len(weights)) + 0.5) / weights.sum())


def stroke_width(ink: np.ndarray) -> float:
    """Return an estimate of the usual stroke width in pixels: twice the area divided by the number of edge pixels.

    It is exact for long straight strokes along the axes; slanted ones seem up to a third wider.
    """
    solid = np.pad(ink >= min(128, int(ink.max())), 1)
    core = solid[1:-1, 1:-1] & solid[:-2, 1:-1] & solid[2:, 1:-1] & solid[1:-1, :-2] & solid[1:-1, 2:]
    area = int(solid.sum())
    return 2 * area / max(1, area - int(core.sum()))


def normalise(sketch: Sketch, *, recipe: Recipe, steps: frozenset[str] = ALL_STEPS) -> np.ndarray:
    """Return the network's input, uint8 (side, side) of the recipe; an empty drawing gives an empty picture.

    steps: the enabled ones of `STEPS`. Without `crop` the whole canvas counts as the drawing, without `scale` it fills
    the field to its edges, without `smooth` single pixels are sampled, without `centre` its box is centred.
    """
    found = measure(sketch)
    if found is None:
        return np.zeros((recipe.side, recipe.side), dtype=np.uint8)
    return _picture(_boxed(found, recipe, steps), recipe, steps)


def normalise_steps(sketch: Sketch, *, recipe: Recipe, steps: frozenset[str] = ALL_STEPS) -> tuple[StepPicture, ...]:
    """Return the picture after each enabled step, the last being that of `normalise`; () for an empty drawing."""
    found = measure(sketch)
    if found is None:
        return ()
    boxed = _boxed(found, recipe, steps)
    place = _place(boxed, recipe, steps)
    pictures = [StepPicture("ink", STEP_TITLES["ink"], _shrink(sketch.ink), f"{found.canvas[1]}×{found.canvas[0]}")]
    if "crop" in steps:
        tall, wide = found.crop.shape
        pictures.append(StepPicture("crop", STEP_TITLES["crop"], _shrink(_square(found.crop)), f"{wide}×{tall}"))
    if "pen" in steps:
        before, after = boxed.width / _place(boxed, recipe, steps - {"pen"}).scale, place.pen
        changed = f"{before:.1f} → {after:.1f} px" if abs(after - before) > 0.05 else f"{after:.1f} px, unchanged"
        pictures.append(StepPicture("pen", STEP_TITLES["pen"], _draw_fine(boxed, recipe, place), changed))
    if "scale" in steps:
        rough = _picture(boxed, recipe, steps - {"smooth", "centre"})
        words = f"{recipe.width:g}×{recipe.box:g} px, upright" if recipe.width else f"longer side {recipe.box:g} px"
        pictures.append(StepPicture("scale", STEP_TITLES["scale"], rough, words))
    if "smooth" in steps:
        smooth = _picture(boxed, recipe, steps - {"centre"})
        pictures.append(StepPicture("smooth", STEP_TITLES["smooth"], smooth, f"{recipe.field}×{recipe.field}"))
    if "centre" in steps:
        words = "by mass" if recipe.centre == "mass" else "by its box"
        pictures.append(StepPicture("centre", STEP_TITLES["centre"], _picture(boxed, recipe, steps), words))
    return tuple(pictures)


def _boxed(found: Measured, recipe: Recipe, steps: frozenset[str]) -> Measured:
    """Return the drawing sheared upright and stretched to the recipe's box, unchanged if the recipe has none."""
    if recipe.width is None or not {"crop", "scale"} <= steps:
        return found
    upright = _upright(found.crop)
    tall, wide = upright.shape
    stretch = min(max(tall * recipe.width / recipe.box / wide, 1 / _MAX_STRETCH), _MAX_STRETCH)
    size = (max(1, round(wide * stretch)), tall)
    crop = np.asarray(Image.fromarray(upright).resize(size, Image.Resampling.BILINEAR))
    left = found.left - (crop.shape[1] - wide) // 2
    return Measured(crop, found.top, left, found.canvas, stroke_width(crop), _mass(crop))


def _upright(ink: np.ndarray) -> np.ndarray:
    """Return the drawing with its rows shifted to remove its slant, cropped to the ink again.

    The slant is the regression of the ink's columns on its rows. Its sums are computed in whole numbers, twice the
    positions: floating-point sums differ between processors, and so would the shifts.
    """
    tall, wide = ink.shape
    rows, weights = 2 * np.arange(tall) + 1, ink.sum(axis=1, dtype=np.int64)
    columns = ink @ (2 * np.arange(wide) + 1)  # sum over each row's ink
    mass, lever = int(weights.sum()), int(weights @ rows)
    spread = mass * int(weights @ rows**2) - lever**2
    slant = (mass * int(columns @ rows) - lever * int(columns.sum())) / spread if spread else 0.0
    from_middle = (rows * mass - lever) / (2 * mass)
    slant = min(max(slant, -_MAX_SLANT), _MAX_SLANT)
    shifts = np.rint(-slant * from_middle).astype(int)
    margin = int(np.abs(shifts).max())
    paper = np.zeros((tall, wide + 2 * margin), dtype=np.uint8)
    places = np.arange(wide)[None, :] + margin + shifts[:, None]
    paper[np.arange(tall)[:, None], places] = ink
    inked = np.flatnonzero(paper.max(axis=0) >= SEEN)
    return np.ascontiguousarray(paper[:, inked[0] : inked[-1] + 1])


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the field lies on the crop: scale in crop pixels per field pixel, centre (x, y), and the pen width."""

    scale: float
    x: float
    y: float
    pen: float  # field pixels
    grow: float  # crop pixels to add on each side of every stroke


def _place(found: Measured, recipe: Recipe, steps: frozenset[str]) -> _Place:
    tall, wide = found.crop.shape if "crop" in steps else found.canvas
    boxed = recipe.width is not None and {"crop", "scale"} <= steps
    longest, box = tall if boxed else max(tall, wide), recipe.box if "scale" in steps else float(recipe.field)
    scale = longest / box
    pen = found.width / scale
    grow = 0.0
    low, high = recipe.pen
    if "pen" in steps and not low <= pen <= high and longest > 2 * found.width:
        # With strokes of the new width the longer side must still be `box`: the centre lines scale to box - pen.
        pen = min(max(pen, low), high)
        scale = (longest - found.width) / (box - pen) if "crop" in steps else scale
        grow = (pen * scale - found.width) / 2
    x, y = wide / 2, tall / 2
    if "crop" not in steps:
        x, y = x - found.left, y - found.top
    if "centre" in steps and recipe.centre == "mass":
        x, y = found.mass
    shift = recipe.middle - recipe.field / 2 if "centre" in steps else 0.0
    return _Place(scale, x - shift * scale, y - shift * scale, pen, grow)


def _picture(found: Measured, recipe: Recipe, steps: frozenset[str]) -> np.ndarray:
    place = _place(found, recipe, steps)
    if recipe.blocks or abs(place.grow) > 0:
        fine = _draw_fine(found, recipe, place)
        if "smooth" not in steps:
            small = fine[FINE // 2 :: FINE, FINE // 2 :: FINE]
        else:
            bilevel = np.where(fine >= 128, 255, 0).astype(np.uint8) if recipe.blocks else fine
            small = np.asarray(Image.fromarray(bilevel).reduce(FINE))
    else:
        how = Image.Resampling.BILINEAR if "smooth" in steps else Image.Resampling.NEAREST
        small = _frame(found, recipe.field, place, resolution=1, how=how)
    # Copied because Pillow's arrays are read-only, and torch warns of that.
    return small.copy() if recipe.field == recipe.side else resize_images(small[None], recipe.side)[0]


def _draw_fine(found: Measured, recipe: Recipe, place: _Place) -> np.ndarray:
    """Return the field at `FINE` times its resolution, uint8, with redrawn strokes."""
    fine = _frame(found, recipe.field, place, resolution=FINE, how=Image.Resampling.BILINEAR)
    drawn = _change_pen(fine, place.grow * FINE / place.scale)
    return _full_ink(drawn) if place.grow > 0 else drawn


def _full_ink(ink: np.ndarray) -> np.ndarray:
    """Return ink with faint strokes at full level: a hairline is grey at this resolution, even after widening."""
    lit = ink[ink >= SEEN]
    usual = float(np.percentile(lit, 40)) if len(lit) else 255.0
    return np.minimum(ink * (255.0 / usual), 255).astype(np.uint8)


def _frame(found: Measured, field: int, place: _Place, *, resolution: int, how: Image.Resampling) -> np.ndarray:
    """Return the field's square, resampled from the crop and the empty paper around it."""
    reach = place.scale * field / 2
    left, top = place.x - reach, place.y - reach
    before = (max(0, int(np.ceil(-left)) + 1), max(0, int(np.ceil(-top)) + 1))
    tall, wide = found.crop.shape
    size = (
        max(wide, int(np.ceil(place.x + reach)) + 1) + before[0],
        max(tall, int(np.ceil(place.y + reach)) + 1) + before[1],
    )
    paper = Image.new("L", size)
    paper.paste(Image.fromarray(np.ascontiguousarray(found.crop)), before)
    corner = (left + before[0], top + before[1])
    square = (corner[0], corner[1], corner[0] + 2 * reach, corner[1] + 2 * reach)
    pixels = field * resolution
    return np.asarray(paper.resize((pixels, pixels), how, box=square))


def _change_pen(fine: np.ndarray, pixels: float) -> np.ndarray:
    """Return the strokes grown (or, if negative, shrunk) by a fractional number of pixels on each side."""
    if pixels == 0:
        return fine
    ink = fine if pixels > 0 else 255 - fine
    whole, rest = divmod(abs(pixels), 1.0)
    for step in range(int(whole)):
        ink = _spread(ink, diagonal=step % 2 == 1)
    if rest > 0:
        wider = _spread(ink, diagonal=int(whole) % 2 == 1)
        ink = np.rint(ink + rest * (wider.astype(np.float32) - ink)).astype(np.uint8)
    return ink if pixels > 0 else 255 - ink


def _spread(ink: np.ndarray, *, diagonal: bool) -> np.ndarray:
    """Return the maximum over each pixel's four or eight neighbours; alternating gives a nearly round pen."""
    wide = np.pad(ink, 1, mode="edge")
    across: np.ndarray = np.maximum(np.maximum(wide[:, :-2], wide[:, 1:-1]), wide[:, 2:])
    up, down = (across[:-2], across[2:]) if diagonal else (wide[:-2, 1:-1], wide[2:, 1:-1])
    spread: np.ndarray = np.maximum(np.maximum(up, down), across[1:-1])
    return spread


def _square(crop: np.ndarray) -> np.ndarray:
    side = max(crop.shape)
    top, left = (side - crop.shape[0]) // 2, (side - crop.shape[1]) // 2
    paper = np.zeros((side, side), dtype=np.uint8)
    paper[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return paper


def _shrink(ink: np.ndarray) -> np.ndarray:
    """Return a thumbnail for the page."""
    picture = Image.fromarray(np.ascontiguousarray(ink))
    picture.thumbnail((_THUMBNAIL, _THUMBNAIL))
    return np.asarray(picture)
