"""Parameters, mult-adds and memory of a network, counted by torchinfo on the meta device without computing anything.

In addition to torchinfo's numbers, each layer has its receptive field and that field's stride. A container's row counts
only its own parameters (nearly always 0), so that the rows add up to the totals.
"""

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
import torchinfo
from torch import nn
from torchinfo.enums import Units
from torchinfo.layer_info import LayerInfo
from torchinfo.model_statistics import ModelStatistics

from lab.architectures.shapes import FLOAT_BYTES, ActivationBytes, activation_bytes, meta_copy
from lab.formatting import format_count, plural
from lab.inspection.graph import trace_graph
from lab.inspection.receptive_field import ReceptiveField

_COLUMNS = ("output_size", "kernel_size", "num_params", "mult_adds")
_DEEPEST = 9


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One module. Shapes include the batch; bytes are those of the output in float32, forward only.

    receptive_field and receptive_stride: side in pixels and distance of neighbouring windows, None if a value depends
    on the whole image (linear layers) or the row is a container.
    """

    name: str
    type: str
    depth: int
    is_leaf: bool
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    params: int
    trainable_params: int
    mult_adds: int
    output_bytes: int
    kernel_size: int | None
    stride: int | None
    receptive_field: int | None
    receptive_stride: int | None

    def as_dict(self) -> dict[str, Any]:
        """Return the six fields of the CLI's output, JSON-safe."""
        return {
            "name": self.name,
            "type": self.type,
            "depth": self.depth,
            "output_shape": list(self.output_shape),
            "params": self.params,
            "mult_adds": self.mult_adds,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Totals for one batch, and the rows. Like torchinfo, output bytes count twice (forward and backward)."""

    input_shape: tuple[int, ...]
    total_params: int
    trainable_params: int
    total_mult_adds: int
    forward_backward_bytes: int
    params_bytes: int
    input_bytes: int
    layers: tuple[LayerRow, ...]
    text: str

    @property
    def batch(self) -> int:
        """Number of images for which shapes, mult-adds and bytes are counted."""
        return self.input_shape[0]

    @property
    def mult_adds_per_image(self) -> int:
        """Mult-adds of one image's forward pass; torchinfo counts those of the whole batch."""
        return self.total_mult_adds // self.batch

    @property
    def estimated_total_bytes(self) -> int:
        """Input, outputs with gradients, and parameters."""
        return self.input_bytes + self.forward_backward_bytes + self.params_bytes

    def as_dict(self) -> dict[str, Any]:
        """Return what `summary --json` prints."""
        return {
            "total_params": self.total_params,
            "trainable_params": self.trainable_params,
            "total_mult_adds": self.total_mult_adds,
            "forward_backward_bytes": self.forward_backward_bytes,
            "params_bytes": self.params_bytes,
            "layers": [row.as_dict() for row in self.layers],
        }


def summarize(network: nn.Module, *, input_shape: tuple[int, ...]) -> Summary:
    """Return the counts for one batch of (B, C, H, W). The network is not changed and may itself be on meta."""
    probe = meta_copy(network).eval()
    statistics = _statistics(probe, input_shape)
    names = {id(module): name for name, module in probe.named_modules()}
    fields: dict[str, list[ReceptiveField | None]] = {}  # one per execution of a layer, as in torchinfo's rows
    for node in trace_graph(probe, input_shape=input_shape):
        fields.setdefault(node.name, []).append(node.field)
    rows = tuple(_row(info, names[info.layer_id], fields) for info in statistics.summary_list)
    return Summary(
        input_shape=tuple(input_shape),
        total_params=statistics.total_params,
        trainable_params=statistics.trainable_params,
        total_mult_adds=statistics.total_mult_adds,
        forward_backward_bytes=statistics.total_output_bytes,
        params_bytes=_params_bytes(probe),
        input_bytes=prod(input_shape) * FLOAT_BYTES,
        layers=rows,
        text=_table_text(statistics, batch=input_shape[0]),
    )


@dataclass(frozen=True, slots=True)
class NetworkCounts:
    """A summary's totals for one batch, without the rows: tracing their graph takes as long as the counting."""

    total_params: int
    total_mult_adds: int
    forward_backward_bytes: int
    params_bytes: int
    activations: ActivationBytes  # of one image


def count_network(network: nn.Module, *, input_shape: tuple[int, ...]) -> NetworkCounts:
    """Return the totals of `summarize` for one batch of (B, C, H, W), without the rows."""
    probe = meta_copy(network).eval()
    statistics = _statistics(probe, input_shape)
    return NetworkCounts(
        total_params=statistics.total_params,
        total_mult_adds=statistics.total_mult_adds,
        forward_backward_bytes=statistics.total_output_bytes,
        params_bytes=_params_bytes(probe),
        activations=activation_bytes(probe, torch.empty(1, *input_shape[1:], device="meta")),
    )


def _params_bytes(network: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in network.parameters())


def _statistics(probe: nn.Module, input_shape: tuple[int, ...]) -> ModelStatistics:
    return torchinfo.summary(
        probe,
        input_data=torch.empty(input_shape, device="meta"),
        depth=_DEEPEST,
        verbose=0,
        col_names=_COLUMNS,
        col_width=20,
        row_settings=("depth", "var_names"),
    )


def _table_text(statistics: ModelStatistics, *, batch: int) -> str:
    """Return torchinfo's table with units corrected, the batch size stated and the mult-adds of one image added.

    torchinfo formats its `Units` in an f-string, which since Python 3.11 gives "Units.MEGABYTES" instead of "M".
    """
    text = str(statistics)
    for unit in Units:
        text = text.replace(f"({Units.__name__}.{unit.name})", f"({unit.value})")
    lines = text.split("\n")
    at = next(place for place, line in enumerate(lines) if line.startswith("Total mult-adds"))
    one = statistics.total_mult_adds // batch
    lines[at + 1 : at + 1] = [
        f"Mult-adds of one image: {format_count(one)}",
        f"Total mult-adds, shapes and sizes are those of a batch of {plural(batch, 'image')}.",
    ]
    return "\n".join(lines)


def _row(info: LayerInfo, name: str, fields: dict[str, list[ReceptiveField | None]]) -> LayerRow:
    leaf = info.is_leaf_layer
    runs = fields.get(name) if leaf else None
    field = runs.pop(0) if runs else None
    own = 0 if info.is_recursive else max(info.num_params if leaf else info.leftover_params(), 0)
    own_trainable = (
        0 if info.is_recursive else max(info.trainable_params if leaf else info.leftover_trainable_params(), 0)
    )
    return LayerRow(
        name=name or info.class_name,
        type=info.class_name,
        depth=info.depth,
        is_leaf=leaf,
        input_shape=tuple(info.input_size),
        output_shape=tuple(info.output_size),
        params=own,
        trainable_params=own_trainable,
        mult_adds=info.macs if leaf else 0,
        output_bytes=info.output_bytes,
        kernel_size=_first(getattr(info.module, "kernel_size", None)),
        stride=_first(getattr(info.module, "stride", None)),
        receptive_field=field.size if field else None,
        receptive_stride=field.stride if field else None,
    )


def _first(value: object) -> int | None:
    if isinstance(value, tuple):
        value = value[0]
    return value if isinstance(value, int) else None
