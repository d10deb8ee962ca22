"""How the makers of a data set cropped, scaled and centred its images, so that drawings can be treated the same way.

`lab.sketch.normalise` applies a recipe; `DatasetSpec.recipe` is that of a data set.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a data set's images were made.

    id: part of the ids of data sets made from drawings. field: side in pixels at which the images were made. box:
    length of a drawing's longer side, in field pixels. centre: which centre is placed at `middle`, "mass" or "box".
    middle: position of the centre, in field pixels from the left edge. pen: usual (thinnest, thickest) stroke, in field
    pixels. blocks: whether pixels count the ink of a bilevel image (8×8 digits). side: side of the finished image in
    pixels; a smaller field is enlarged to it. width: if drawings were deslanted and stretched to a box, that box's
    width in field pixels, and `box` is its height; else None.
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


# Pen widths: 5th and 95th percentiles over 1,500 training images, measured by `stroke_width` (docs/benchmarks.md).
MNIST = Recipe("mnist", 28, 20.0, "mass", 14.5, (2.0, 4.0))
EMNIST = Recipe("emnist", 28, 24.0, "box", 14.0, (2.5, 4.5))
# Made with NIST's preprocessing for handprint recognition (Garris et al. 1994, NISTIR 5469), which removes the slant
# and stretches every digit to 20×32 pixels; counting ink in 4×4 blocks then gives the 8×8 digits.
DIGITS = Recipe("digits", 8, 8.0, "box", 4.0, (1.1, 2.0), blocks=True, width=5.0)
USPS = Recipe("usps", 16, 16.0, "box", 8.0, (1.6, 3.2))
RECIPES = {recipe.id: recipe for recipe in (MNIST, EMNIST, DIGITS, USPS)}
