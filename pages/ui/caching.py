"""What the pages remember between reruns; nowhere else in `pages/` is anything cached. Keys are ids and digests.

Nothing kept here is the only copy: pressing C in Streamlit clears it all and costs time, never a run.
"""

import json
from typing import TYPE_CHECKING

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
