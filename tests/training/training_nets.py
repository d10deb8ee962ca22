"""Small data sets and networks for the tests of the engine."""

import torch
from torch import nn

from lab.training.data import ResidentData


def build_data(train: int = 90, val: int = 40, test: int = 50, *, size: int = 8, classes: int = 3) -> ResidentData:
    """Return images of noise with one bright row, whose position is the class."""
    generator = torch.Generator().manual_seed(5)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randint(0, 120, (count, 1, size, size), generator=generator, dtype=torch.uint8)
        y = torch.randint(0, classes, (count,), generator=generator)
        x[torch.arange(count), 0, 2 * y] = 255
        return x, y

    parts = [tensor for count in (train, val, test) for tensor in part(count)]
    return ResidentData(*parts, mean=0.25, std=0.3, classes=classes)


class SmallNet(nn.Sequential):
    """Convolution, batch norm, pool, dropout, linear on 8x8 images."""

    def __init__(self, classes: int = 3, dropout: float = 0.3) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(36, classes),
        )


class LinearNet(nn.Sequential):
    """Logits are linear in the pixels, with zero initial weights."""

    def __init__(self, classes: int = 3, size: int = 8) -> None:
        super().__init__(nn.Flatten(), nn.Linear(size * size, classes))
        nn.init.zeros_(self[1].weight)
        nn.init.zeros_(self[1].bias)


class StuckNet(LinearNet):
    """Cannot learn: its gradients are zero, so every evaluation gives the same loss."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * 0.0
