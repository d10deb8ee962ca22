"""How the makers of a data set cut out, scaled and centred its images, so that a drawing can be treated the same way.

`lab.sketch.normalise` follows a recipe; a data set names its own (`DatasetSpec.recipe`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a data set's images were made.

    id: part of the ids of data sets made from drawings. field: side in pixels the images were made at. box: length of a
    drawing's longer side in the field. centre: "mass" or "box". middle: where the centre goes, in field pixels from the
    left edge. pen: (thinnest, thickest) usual stroke, in field pixels. blocks: whether pixels count the ink of a bilevel
    image (8×8 digits). side: of the finished image in pixels; a smaller field is enlarged to it. width: where a drawing was
    sheared upright and stretched to a box, that box's width in field pixels; `box` is its height then.
    """

    id: str
    field: int
    box: float
    centre: str
    middle: float
    pen: tuple[float, float]
    blocks: bool = False
    side: int = 28
    width: float | None = None


# Pen widths: 5th and 95th percentile of 1,500 training images, measured by `stroke_width` (docs/benchmarks.md).
MNIST = Recipe("mnist", 28, 20.0, "mass", 14.5, (2.0, 4.0))
EMNIST = Recipe("emnist", 28, 24.0, "box", 14.0, (2.5, 4.5))
# Made with NIST's preprocessing for handprint recognition (Garris et al. 1994, NISTIR 5469), which removes the slant and
# stretches every digit to 20×32 pixels; counted in blocks of 4×4 they are the 8×8 digits.
DIGITS = Recipe("digits", 8, 8.0, "box", 4.0, (1.1, 2.0), blocks=True, width=5.0)
USPS = Recipe("usps", 16, 16.0, "box", 8.0, (1.6, 3.2))
RECIPES = {recipe.id: recipe for recipe in (MNIST, EMNIST, DIGITS, USPS)}
