"""Work that may take a page minutes: its cost is estimated first, and it is done only if the user insists."""

import streamlit as st

from lab.formatting import format_count, format_duration
from lab.network_counts import count_from_config
from lab.runs.records import RunRecord
from pages.markdown import plain
from pages.state.keys import element
from pages.state.shared import WAITING

_AT_ONCE = 600e9  # mult-adds: half a minute on one core; a page computes on one
_PER_S = 20e9  # mult-adds per second of one core, roughly: 7e9 (MobileNet) to 45e9 (ResNet-18) were measured

_IMAGES_WORK = 60e9  # mult-adds: about three seconds on one core
_MOST_IMAGES, _FEWEST_IMAGES = 1_000, 100


def worth_waiting(run: RunRecord, *, passes: int, what: str, key: str) -> bool:
    """Return whether to pass `passes` images through the run's network; if not, show the cost and a button to do it.

    key: identifies the question, with the digest of the weights; pressing the button accepts the cost for this key.
    """
    work = passes * count_from_config(run.config).total_mult_adds
    if work <= _AT_ONCE or key in WAITING.read().accepted:
        return True
    st.info(
        plain(
            f"{what} takes {format_count(work)} mult-adds, roughly {format_duration(work / _PER_S)} on one core. The "
            "page does not respond in the meantime."
        ),
        icon=":material/hourglass_top:",
    )
    st.button("Do it anyway", icon=":material/play_arrow:", key=element("wait", key), on_click=_accept, args=(key,))
    return False


def times_at_once(run: RunRecord, *, passes: int) -> int:
    """Return how many times `passes` images can be passed through the run's network without asking."""
    return int(_AT_ONCE // max(1, passes * count_from_config(run.config).total_mult_adds))


def images_at_once(*runs: RunRecord, passes: int) -> int:
    """Return how many test images are passed `passes` times through each run's network: fewer if one is large."""
    work = passes * max(count_from_config(run.config).total_mult_adds for run in runs)
    return max(_FEWEST_IMAGES, min(_MOST_IMAGES, int(_IMAGES_WORK // work)))


def _accept(key: str) -> None:
    WAITING.change(accepted=WAITING.read().accepted | {key})
