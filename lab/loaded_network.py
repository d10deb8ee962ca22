"""A run's network with saved weights, as inspection, sketches, charts and exports take it. Importing it needs no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LoadedNetwork:
    """A run's network with the weights saved at one step, in evaluation mode on the CPU; nobody trains it.

    It takes `(x / 255 - mean) / std` of uint8 images x_BCHW and returns logits_BK. step/epoch: when the weights were
    saved. result: what was measured on these very weights, None for the untrained network.
    """

    run: RunRecord
    network: "nn.Module"
    epoch: int
    step: int
    mean: float
    std: float
    class_names: tuple[str, ...]
    image_size: int
    channels: int
    result: HeadlineResult | None = None
