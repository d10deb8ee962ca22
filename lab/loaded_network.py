"""A run's network with saved weights, used by inspection, sketches, charts and exports. Importing it needs no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from lab.runs.headline import HeadlineResult
from lab.runs.records import RunRecord

if TYPE_CHECKING:
    from torch import nn

# Whose weights to load: those of an epoch, the selected ones (`lab.runs.headline`), or the newest.
EpochChoice: TypeAlias = int | Literal["best", "latest"]


@dataclass(frozen=True, slots=True, weakref_slot=True)
class LoadedNetwork:
    """A run's network with the weights saved at one step, in evaluation mode on the CPU; it is never trained.

    Its input is `(x / 255 - mean) / std` of uint8 images x_BCHW, its output logits_BK. step/epoch: when the weights
    were saved. result: what was measured with exactly these weights, None for the untrained network.
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
