"""The network designed to reach 99 % in seconds: a frozen whitening layer, two convolutions, 128 hidden units.

The first layer is not learned: its filters are the leading principal components of the training images' patches, each
scaled to unit variance, and their negatives, so that ReLU discards nothing. This one-time linear algebra replaces the
first few hundred steps. Source: Jordan 2024, section 3.2 (CIFAR-10 in 3.29 seconds), scaled down for digits.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from lab.architectures.blocks import Build, Named, Resize, named
from lab.architectures.shapes import output_shape
from lab.devices import to_double
from lab.errors import ConfigError

_MARGIN = 4  # pixels by which the crop is smaller than the image: 28 -> 24
_EPSILON = 5e-4  # added to each variance, so that directions without variance are not amplified (section 3.2)


class Crop(nn.Module):
    """Crop a square of `size` pixels: the centre, or with `random` in training, a random position for each image."""

    def __init__(self, size: int, *, random: bool) -> None:
        super().__init__()
        self.size = size
        self.random = random

    def forward(self, x_BCHW: Tensor) -> Tensor:
        if self.training and self.random:
            return self._random(x_BCHW)
        top, left = ((side - self.size) // 2 for side in x_BCHW.shape[-2:])
        return x_BCHW[..., top : top + self.size, left : left + self.size]

    def _random(self, x_BCHW: Tensor) -> Tensor:
        batch, _, height, width = x_BCHW.shape
        windows = x_BCHW.unfold(2, self.size, 1).unfold(3, self.size, 1)  # a view: (B, C, places, places, size, size)
        top_B = torch.randint(0, height - self.size + 1, (batch,), device=x_BCHW.device)
        left_B = torch.randint(0, width - self.size + 1, (batch,), device=x_BCHW.device)
        return windows[torch.arange(batch, device=x_BCHW.device), :, top_B, left_B]

    def extra_repr(self) -> str:
        return f"size={self.size}, random={self.random}"


class SpeedrunNet(nn.Sequential):
    """Resize, crop, features, flatten and classifier; `initialise_from_data` sets the frozen first layer."""

    @torch.no_grad()
    def initialise_from_data(self, x_BCHW: Tensor) -> None:
        """Set the weights of the first layer, which are never trained, to whitening filters of normalised images."""
        convolution = self.get_submodule("features.conv1")
        assert isinstance(convolution, nn.Conv2d)
        cropped = self.get_submodule("crop")(self.get_submodule("resize")(x_BCHW))
        filters = whitening_filters(cropped, side=convolution.kernel_size[0], count=convolution.out_channels // 2)
        convolution.weight.copy_(torch.cat([filters, -filters]))


def whitening_filters(x_BCHW: Tensor, *, side: int, count: int) -> Tensor:
    """Return the `count` leading principal components of all side×side patches, scaled to unit variance.

    Shape (count, C, side, side). Convolving these images with them gives uncorrelated channels.
    """
    patches = torch.nn.functional.unfold(x_BCHW, side)  # (B, C*side*side, places)
    flat = to_double(patches.transpose(1, 2).flatten(0, 1))
    covariance = torch.cov(flat.T)
    values, vectors = torch.linalg.eigh(covariance.cpu())  # ascending
    values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
    scaled = vectors / torch.sqrt(values + _EPSILON)
    filters: Tensor = scaled.T.reshape(count, x_BCHW.shape[1], side, side).to(x_BCHW)
    return filters


def speedrun_cnn(build: Build, *, widths: list[int], hidden: int, random_crop: bool) -> SpeedrunNet:
    """By default 16 channels (5×5) and 32 channels (3×3), with batch norm after all layers but the frozen one."""
    first, second = widths
    if first % 2 or first > 2 * 25 * build.channels:
        raise ConfigError(
            f"speedrun-cnn has {first} channels in its first layer, but they come in pairs of a filter and its "
            f"negative: use an even number up to {50 * build.channels}.",
            field="arch_options",
        )
    whitening = nn.Conv2d(build.channels, first, 5)
    whitening.weight.requires_grad_(False)
    features = named(
        [
            ("conv1", whitening),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),
            ("conv2", nn.Conv2d(first, second, 3, bias=False)),
            ("bn2", nn.BatchNorm2d(second)),
            ("relu2", nn.ReLU()),
            ("pool2", nn.MaxPool2d(2)),
        ]
    )
    crop = max(build.size - _MARGIN, 1)
    channels, height, width = output_shape(features, input_shape=(1, build.channels, crop, crop), prefix="features")[1:]
    classifier = named(
        [
            ("fc1", nn.Linear(channels * height * width, hidden, bias=False)),
            ("bn1", nn.BatchNorm1d(hidden)),
            ("relu1", nn.ReLU()),
            ("fc2", nn.Linear(hidden, build.classes)),
        ]
    )
    parts: list[Named] = [
        ("resize", Resize(build.size)),
        ("crop", Crop(crop, random=random_crop)),
        ("features", features),
        ("flatten", nn.Flatten()),
        ("classifier", classifier),
    ]
    return SpeedrunNet(OrderedDict(parts))
