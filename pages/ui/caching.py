"""What the pages remember between reruns; nowhere else in `pages/` is anything cached. Keys are ids and digests.

Nothing kept here is the only copy: pressing C in Streamlit clears it all and costs time, never a run.
"""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from lab.config import RunConfig
from pages.ui.lab import get_lab
from pages.ui.torch_ready import require_torch

if TYPE_CHECKING:
    from lab.costs import Estimate

_ENTRIES = 256
_MINUTE_S = 60.0  # a run that has finished since may know better
_COSTLY = (  # the settings that change what an epoch costs; the others need no new count
    "arch", "arch_options", "input_size", "dataset", "train_limit", "val_fraction", "batch_size", "optimizer", "device",
    "precision",
)  # fmt: skip
_LARGE = 64  # pixels a side above which a smaller input is worth offering


def estimate_cost(config: RunConfig) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    """Return a configuration's cost and, for large inputs, the smallest input size with its cost.

    Raises what `lab.costs.estimate` raises. Imports torch if nobody has.
    """
    decisive = RunConfig(**{name: getattr(config, name) for name in _COSTLY})
    cost, smaller = _estimate_cost(str(get_lab().settings.home), json.dumps(decisive.as_dict(), sort_keys=True))
    epochs = {"epochs": config.epochs}
    return replace(cost, **epochs), None if smaller is None else (smaller[0], replace(smaller[1], **epochs))


@st.cache_data(max_entries=_ENTRIES, ttl=_MINUTE_S, show_spinner=False)
def _estimate_cost(home: str, config: str) -> "tuple[Estimate, tuple[str, Estimate] | None]":
    require_torch()
    from lab.costs import estimate, smaller_input

    lab, wanted = get_lab(), RunConfig.from_dict(json.loads(config))
    cost = estimate(lab, wanted)
    return cost, smaller_input(lab, wanted) if cost.side > _LARGE else None
