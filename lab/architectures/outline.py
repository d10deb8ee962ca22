"""How large each network is and what its layers look like, for lists that open without torch.

Measured once with every option at its default, for grey images of 28×28 and ten classes, and kept in `outlines.json`:
`python -m tests.reference_docs` writes it anew, and a test compares. A network that is not in it yet has no outline.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# By family; Okabe and Ito, dark enough on white and light enough on black. Where they stand, words say the same.
FAMILY_COLOURS = {
    "input": "#8a94a3",
    "convolution": "#3b8fd4",
    "linear": "#1f9e77",
    "pooling": "#d98a1f",
    "join": "#b56a97",
    "block": "#3b8fd4",
    "other": "#8a94a3",
}
PATH = Path(__file__).with_name("outlines.json")


@dataclass(frozen=True, slots=True)
class OutlineStage:
    """One slab: its family as in `lab.inspection.layer_kinds`, channels (or values) and side in pixels, 1 for a vector."""

    family: str
    channels: int
    side: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A network in few numbers. layers: convolutions and linear layers. stages: in the order they run, the image first."""

    params: int
    layers: int
    stages: tuple[OutlineStage, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the record for the file."""
        stages = [[stage.family, stage.channels, stage.side] for stage in self.stages]
        return {"params": self.params, "layers": self.layers, "stages": stages}


def read_outline(record: Mapping[str, Any]) -> Outline:
    """Return the outline that `Outline.as_dict` gave."""
    return Outline(record["params"], record["layers"], tuple(OutlineStage(*stage) for stage in record["stages"]))


def outline_of(arch: str) -> Outline | None:
    """Return a network's outline, None for one that was added since they were written."""
    return _outlines().get(arch)


@cache
def _outlines() -> dict[str, Outline]:
    return {arch: read_outline(record) for arch, record in json.loads(PATH.read_text(encoding="utf-8")).items()}
