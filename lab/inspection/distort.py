"""Applies the distortions of `lab.inspection.distortions` to images, with torchvision where it has them."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from lab.data.channels import with_channels
from lab.inspection.distortions import DISTORTIONS, Robustness
from lab.inspection.metrics import require_finite, sample_indices, score_logits
from lab.inspection.observe import compute_logits

_WHITE = 255
_SEED = 0  # the noise is the same for every network, and grows with the level without changing its pattern


def distort(images_u8: np.ndarray, name: str, level: float) -> np.ndarray:
    """Return images distorted at one level, with the shape and dtype of `images_u8`; what enters the frame is black.

    images_u8: uint8 (N, H, W) or (N, C, H, W). name: a key of `DISTORTIONS`.
    """
    if level == DISTORTIONS[name].neutral:
        return images_u8
    x_NCHW = torch.from_numpy(np.ascontiguousarray(with_channels(images_u8)))
    return _FUNCTIONS[name](x_NCHW, level).reshape(images_u8.shape).numpy()


def measure_robustness(
    network: nn.Module, images_u8: np.ndarray, labels: np.ndarray, *, name: str, count: int, mean: float, std: float
) -> Robustness:
    """Return the accuracy at each level of a distortion. Raises `InputError` if logits are not finite.

    images_u8: uint8 (N, H, W) or (N, C, H, W). labels: (N,). count: of the images that are measured, evenly spaced, so
    that they are the same for every network; all if there are fewer.
    """
    chosen = sample_indices(len(labels), count)
    images_u8, labels = images_u8[chosen], labels[chosen]
    accuracies = []
    for level in DISTORTIONS[name].levels:
        logits = compute_logits(network, distort(images_u8, name, level), mean=mean, std=std)
        require_finite(logits, of="the test images")
        accuracies.append(score_logits(logits, labels).accuracy)
    return Robustness(name, tuple(accuracies), len(labels))


def _affine(x: Tensor, *, angle: float = 0.0, right: float = 0.0, slant: float = 0.0) -> Tensor:
    moved: Tensor = vision.affine(
        x,
        angle=-angle,  # torchvision rotates clockwise here, and counterclockwise in `rotate`
        translate=[right, 0.0],
        scale=1.0,
        shear=[slant, 0.0],
        interpolation=InterpolationMode.BILINEAR,
    )
    return moved


def _resize(x: Tensor, per_cent: float) -> Tensor:
    """Resize about the centre; a smaller image has a black border, a larger one loses its own."""
    size = list(x.shape[-2:])
    resized = vision.resize(x, [round(side * per_cent / 100) for side in size], antialias=True)
    cropped: Tensor = vision.center_crop(resized, size)
    return cropped


def _widen(x: Tensor, pixels: float) -> Tensor:
    """Widen bright strokes by whole pixels with a maximum filter, or thin them, which widens what is dark."""
    side = abs(int(pixels)) + 1
    values = (x if pixels > 0 else _WHITE - x).float()
    before, after = side // 2, (side - 1) // 2
    wide = F.max_pool2d(F.pad(values, (before, after, before, after)), side, stride=1).to(torch.uint8)
    return wide if pixels > 0 else _WHITE - wide


def _blur(x: Tensor, sigma: float) -> Tensor:
    size = 2 * min(math.ceil(3 * sigma), min(x.shape[-2:]) - 1) + 1  # the image is reflected at its border, once
    rows = vision.gaussian_blur(x.float(), [1, size], [sigma, sigma])  # one direction at a time, which is faster
    return _as_bytes(vision.gaussian_blur(rows, [size, 1], [sigma, sigma]))


def _add_noise(x: Tensor, per_cent: float) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(_SEED))
    return _as_bytes(x + noise * (per_cent / 100 * _WHITE))


def _change_contrast(x: Tensor, per_cent: float) -> Tensor:
    middle = _WHITE / 2
    return _as_bytes(middle + (x - middle) * (per_cent / 100))


def _as_bytes(x: Tensor) -> Tensor:
    return x.round().clamp(0, _WHITE).to(torch.uint8)


def _cover(x: Tensor, per_cent: float) -> Tensor:
    tall, wide = x.shape[-2:]
    height, width = round(tall * per_cent / 100), round(wide * per_cent / 100)
    covered = x.clone()
    top, left = (tall - height) // 2, (wide - width) // 2
    covered[..., top : top + height, left : left + width] = 0
    return covered


_FUNCTIONS: Mapping[str, Callable[[Tensor, float], Tensor]] = {
    "rotation": lambda x, degrees: _affine(x, angle=degrees),
    "shift": lambda x, per_cent: _affine(x, right=x.shape[-1] * per_cent / 100),
    "size": _resize,
    "slant": lambda x, degrees: _affine(x, slant=degrees),
    "stroke": _widen,
    "blur": _blur,
    "noise": _add_noise,
    "contrast": _change_contrast,
    "occlusion": _cover,
}
