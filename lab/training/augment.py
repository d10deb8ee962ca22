"""Random augmentation of a batch of training images, on the batch's device and reproducible from the generator.

`light` shifts, rotates and scales slightly. `sketch` imitates drawings on a canvas: different slants, sizes and
positions, unsteady strokes (elastic distortion, Simard et al. 2003), thin and thick pens, dark ink, and occasional gaps
(random erasing, Zhong et al. 2017). The pen works at twice the resolution, so that a stroke can grow or shrink by half
a pixel.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lab.config import AUGMENTS
from lab.errors import ConfigError, near_miss

Augment = Callable[[Tensor, Generator], Tensor]
_PEN_SCALE = 2
_ELASTIC_GRID = 5  # control points per side: about one per bend of a stroke of a 28-pixel digit
_MIN_INK = 0.35  # smallest share of the ink that thinning may leave


@dataclass(frozen=True, slots=True)
class AugmentRecipe:
    """The ranges of the random changes; amounts are drawn uniformly for each image.

    shift_px: pixels at the image's original size. rotate_deg: in both directions. scale: lowest and highest factor.
    stretch: largest relative difference between the scales of the two sides. shear: in both directions, as tangent of
    the slant. elastic_px: standard deviation of the control points. pen: (thinnest, thickest) in half pixels on either
    side of the stroke. gain: highest ink factor. erase: share of images with a gap.
    """

    shift_px: float = 0.0
    rotate_deg: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    stretch: float = 0.0
    shear: float = 0.0
    elastic_px: float = 0.0
    pen: tuple[float, float] = (0.0, 0.0)
    gain: float = 1.0
    erase: float = 0.0


RECIPES: dict[str, AugmentRecipe | None] = {
    "none": None,
    "light": AugmentRecipe(shift_px=2.0, rotate_deg=10.0, scale=(0.9, 1.1)),
    "sketch": AugmentRecipe(
        shift_px=2.0,
        rotate_deg=15.0,
        scale=(0.8, 1.15),
        stretch=0.15,
        shear=0.35,
        elastic_px=0.7,
        pen=(-2.0, 3.0),
        gain=1.8,
        erase=0.1,
    ),
}
if tuple(RECIPES) != AUGMENTS:
    raise ValueError(f"Augmentation presets {tuple(RECIPES)} are not those of the configuration, {AUGMENTS}.")


def build_augment(name: str) -> Augment | None:
    """Return the preset's function of (x_BCHW float in [0, 1], generator on x's device), or None for `none`.

    The result has the shape and dtype of x and stays in [0, 1]. Raises `ConfigError` for an unknown name.
    """
    if name not in RECIPES:
        raise ConfigError(f"There is no augmentation {name!r}. {near_miss(name, RECIPES)}", field="augment")
    recipe = RECIPES[name]
    return None if recipe is None else lambda x_BCHW, generator: augment_batch(x_BCHW, generator, recipe=recipe)


def augment_batch(x_BCHW: Tensor, generator: Generator, *, recipe: AugmentRecipe) -> Tensor:
    """Augment a batch according to the recipe, without synchronising with the device."""
    pen = recipe.pen != (0.0, 0.0)
    side = x_BCHW.shape[-1]
    fine = side * _PEN_SCALE if pen else side
    x = x_BCHW.float()
    grid = F.affine_grid(_affine(x, generator, recipe), [len(x), 1, fine, fine], align_corners=False)
    if recipe.elastic_px:
        grid = grid + _elastic(x, generator, pixels=recipe.elastic_px, fine=fine)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    if pen:
        x = F.avg_pool2d(_redraw(x, generator, pen=recipe.pen), _PEN_SCALE)
    if recipe.gain > 1:
        x = x * _uniform(x, generator, 1.0, recipe.gain)
    if recipe.erase:
        x = _erase(x, generator, share=recipe.erase)
    return x.clamp_(0, 1).to(x_BCHW.dtype)


def _uniform(x: Tensor, generator: Generator, low: float, high: float) -> Tensor:
    """Draw one number per image: float (B, 1, 1, 1)."""
    return torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) * (high - low) + low


def _affine(x: Tensor, generator: Generator, recipe: AugmentRecipe) -> Tensor:
    """Draw the affine maps (B, 2, 3) from result to source coordinates, both in [-1, 1]."""
    draws = torch.rand(6, len(x), generator=generator, device=x.device) * 2 - 1
    low, high = recipe.scale
    scale = (low + high) / 2 + draws[0] * ((high - low) / 2)
    wide, tall = scale * (1 + draws[1] * recipe.stretch), scale
    angle = draws[2] * math.radians(recipe.rotate_deg)
    shear = draws[3] * recipe.shear
    cos, sin = torch.cos(angle), torch.sin(angle)
    shift = draws[4:6] * (recipe.shift_px * 2 / x.shape[-1])
    first = torch.stack(((cos - shear * sin) / wide, (sin + shear * cos) / wide, shift[0]), dim=1)
    second = torch.stack((-sin / tall, cos / tall, shift[1]), dim=1)
    return torch.stack((first, second), dim=1)


def _elastic(x: Tensor, generator: Generator, *, pixels: float, fine: int) -> Tensor:
    """Draw a smooth displacement (B, fine, fine, 2) in [-1, 1] coordinates."""
    coarse = torch.randn(len(x), 2, _ELASTIC_GRID, _ELASTIC_GRID, generator=generator, device=x.device)
    # Bilinear upsampling as two small matrix products: five times as fast as `interpolate` on a CPU.
    places = torch.linspace(0, _ELASTIC_GRID - 1, fine, device=x.device)
    weights = (1 - (places[:, None] - torch.arange(_ELASTIC_GRID, device=x.device)).abs()).clamp(min=0)
    smooth = weights @ (coarse * (pixels * 2 / x.shape[-1])) @ weights.T
    return smooth.permute(0, 2, 3, 1)


def _redraw(x: Tensor, generator: Generator, *, pen: tuple[float, float]) -> Tensor:
    """Thicken (draws above 0) or thin (below 0) every stroke by about that many pixels on either side.

    An image is left unchanged if thinning would leave less than `_MIN_INK` of its ink.
    """
    low, high = pen
    steps = _uniform(x, generator, low, high)
    # Thinning the ink is thickening the background: one loop for both halves the work.
    thinning = steps < 0
    drawn = torch.where(thinning, 1 - x, x)
    amount = steps.abs()
    for step in range(math.ceil(max(-low, high))):
        drawn.lerp_(_grow(drawn), (amount - step).clamp(0, 1))
    drawn = torch.where(thinning, 1 - drawn, drawn)
    enough = drawn.sum((1, 2, 3), keepdim=True) >= _MIN_INK * x.sum((1, 2, 3), keepdim=True)
    return torch.where(enough, drawn, x)


def _grow(x: Tensor) -> Tensor:
    """Return the maximum of each pixel and its four neighbours, with slices, because pooling is slow on a CPU."""
    wide = x.clone()
    torch.maximum(wide[..., 1:], x[..., :-1], out=wide[..., 1:])
    torch.maximum(wide[..., :-1], x[..., 1:], out=wide[..., :-1])
    torch.maximum(wide[..., 1:, :], x[..., :-1, :], out=wide[..., 1:, :])
    torch.maximum(wide[..., :-1, :], x[..., 1:, :], out=wide[..., :-1, :])
    return wide


def _erase(x: Tensor, generator: Generator, *, share: float) -> Tensor:
    """Blank a rectangle with sides of 2 to 6 pixels in a share of the images."""
    side = x.shape[-1]
    draws = torch.rand(5, len(x), 1, generator=generator, device=x.device)
    places = torch.arange(side, device=x.device)[None]
    size = draws[0:2] * 4 + 2
    start = draws[2:4] * (side - size)
    inside = (places >= start) & (places < start + size) & (draws[4] < share)  # (2, B, side)
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return x.masked_fill(hole, 0.0)
