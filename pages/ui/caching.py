"""What the pages remember between reruns; nowhere else in `pages/` is anything cached. Keys are ids and digests.

Nothing kept here is the only copy: pressing C in Streamlit clears it all and costs time, never a run.
"""

import json
from typing import TYPE_CHECKING, Any

import streamlit as st

from lab.config import RunConfig
from pages.ui.lab import get_lab
from pages.ui.torch_ready import require_torch

if TYPE_CHECKING:
    from lab.costs import Estimate

_ENTRIES = 256
_MINUTE_S = 60.0  # a run that has finished since may know better
_LARGE = 64  # pixels a side above which a smaller input is worth offering


def estimate_cost(config: RunConfig) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    """Return a configuration's cost and, for large inputs, the smallest input size with its cost.

    Raises what `lab.costs.estimate` raises. Imports torch if nobody has.
    """
    return _estimate_cost(str(get_lab().settings.home), json.dumps(config.as_dict(), sort_keys=True))


@st.cache_data(max_entries=_ENTRIES, ttl=_MINUTE_S, show_spinner=False)
def _estimate_cost(home: str, config: str) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    require_torch()
    from lab.costs import estimate, smaller_input

    lab, wanted = get_lab(), RunConfig.from_dict(json.loads(config))
    cost = estimate(lab, wanted)
    return cost, smaller_input(lab, wanted) if cost.side > _LARGE else None


@dataclass(frozen=True, slots=True)
class Design:
    """A network without weights: id, input size ("auto", "native", …), its options as sorted pairs, classes."""

    arch: str
    input_size: str
    options: tuple[tuple[str, object], ...]
    classes: int

    def arguments(self) -> dict[str, Any]:
        """Return what `build_network` is told beside the id."""
        return {
            "input_size": self.input_size,
            "classes": self.classes,
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options},
        }


@st.cache_data(max_entries=_SMALL, max_size="50MB", show_spinner=False)
def summary_of(design: Design, batch: int) -> "Summary":
    """Return the counts for one batch; raises `ShapeError` where the images do not fit."""
    require_torch()
    import torch

    from lab.architectures.build import build_network
    from lab.inspection.summary import summarize

    with torch.device("meta"):
        network = build_network(design.arch, **design.arguments())
    return summarize(network, input_shape=(batch, 1, IMAGE_SIZE, IMAGE_SIZE))


@st.cache_data(max_entries=_SMALL, max_size="50MB", show_spinner=False)
def graph_of(design: Design) -> "tuple[GraphNode, ...]":
    """Return the network's graph for one image; raises `ShapeError` where the images do not fit."""
    require_torch()
    import torch

    from lab.architectures.build import build_network
    from lab.inspection.graph import trace_graph

    with torch.device("meta"):
        network = build_network(design.arch, **design.arguments())
    return trace_graph(network, input_shape=(1, 1, IMAGE_SIZE, IMAGE_SIZE))


@st.cache_data(max_entries=_LARGE, show_spinner=False)
def timing_of(design: Design, batch: int, attempt: int) -> "Timing":
    """Measure each layer's forward pass on this machine's CPU; another `attempt` measures again."""
    require_torch()
    import torch

    from lab.architectures.build import build_network
    from lab.inspection.timing import time_layers

    network = build_network(design.arch, **design.arguments())
    return time_layers(network, torch.rand(batch, 1, IMAGE_SIZE, IMAGE_SIZE))
