"""Sizes and layer outlines of all networks, for lists that open without torch.

They are computed with default options for grey images of 28×28 and ten classes, and stored in `outlines.json`, which
`python -m tests.reference_docs` rewrites and a test checks. A network that is not in the file has no outline.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

# By family, after Okabe and Ito; legible on white and on black. Text always states the same information.
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
    """One drawn block: its family as in `lab.inspection.layer_kinds`, channels (or values), and side in pixels."""

    family: str
    channels: int
    side: int


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of a network. layers: number of convolutions and linear layers. stages: in order, the image first."""

    params: int
    layers: int
    stages: tuple[OutlineStage, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the outline as JSON values for the file."""
        stages = [[stage.family, stage.channels, stage.side] for stage in self.stages]
        return {"params": self.params, "layers": self.layers, "stages": stages}


def read_outline(record: Mapping[str, Any]) -> Outline:
    """Build an outline from `Outline.as_dict`."""
    return Outline(record["params"], record["layers"], tuple(OutlineStage(*stage) for stage in record["stages"]))


def outline_of(arch: str) -> Outline | None:
    """Return a network's outline, or None for a network that is not in the file."""
    return _outlines().get(arch)


@cache
def _outlines() -> dict[str, Outline]:
    return {arch: read_outline(record) for arch, record in json.loads(PATH.read_text(encoding="utf-8")).items()}
