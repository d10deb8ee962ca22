"""Work that may take a page minutes: counted first, and done only when the reader asks for it all the same."""

import streamlit as st

from lab.architectures.registry import get_architecture
from lab.data.registry import get_dataset_spec
from lab.formatting import format_count, format_duration
from lab.runs.records import RunRecord
from pages.cache.design import design_of
from pages.cache.inspection import mult_adds_of
from pages.markdown import plain
from pages.state.keys import element
from pages.state.shared import WAITING

_AT_ONCE = 600e9  # mult-adds: half a minute on one core, which is what a page computes with
_PER_S = 20e9  # of one core, roughly: 7 (MobileNet) to 45 (ResNet-18) were measured


def worth_waiting(run: RunRecord, *, passes: int, what: str, key: str) -> bool:
    """Return whether to go on with `passes` images through the run's network; else say what it costs, and offer it.

    key: of what is asked, with the digest of the weights; an answer "all the same" holds for it.
    """
    work = passes * _mult_adds(run)
    if work <= _AT_ONCE or key in WAITING.read().accepted:
        return True
    st.info(
        plain(
            f"{what} takes {format_count(work)} mult-adds, roughly {format_duration(work / _PER_S)} on one core. The "
            "page does not respond meanwhile."
        ),
        icon=":material/hourglass_top:",
    )
    st.button("Do it anyway", icon=":material/play_arrow:", key=element("wait", key), on_click=_accept, args=(key,))
    return False


def _accept(key: str) -> None:
    WAITING.change(accepted=WAITING.read().accepted | {key})


def _mult_adds(run: RunRecord) -> int:
    config = run.config
    classes = len(get_dataset_spec(config.dataset).classes)
    return mult_adds_of(
        design_of(get_architecture(config.arch), config.input_size, config.arch_options, classes=classes)
    )
