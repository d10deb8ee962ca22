"""Next to the form: the estimated cost of the settings, and those that look like a mistake, before the start."""

from typing import TYPE_CHECKING

import psutil
import streamlit as st

from lab.config import RunConfig
from lab.config.steps import epoch_images
from lab.data.registry import get_dataset_spec
from lab.diagnosis.rules import diagnose_config
from lab.errors import ConfigError
from lab.findings import Finding
from lab.formatting import format_bytes, format_count, format_duration, format_range, plural, unbroken
from lab.service.gpu_steps import gpu_words
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_cost
from pages.cache.torch_import import WARMING_S, warm_torch
from pages.markdown import plain, with_code
from pages.state.keys import element
from pages.state.train import apply_changes, set_field
from pages.widgets.findings import remedy_words, show_finding

if TYPE_CHECKING:
    from lab.service.costs import Estimate

_LONG_S = 600.0  # for longer epochs, a smaller input is offered
_MIN_PX = 110  # in a narrower column, every label would wrap


def cost_card(config: RunConfig) -> None:
    """Draw the estimated cost of a configuration, and the findings on it."""
    if warm_torch():
        _cost(config)
    else:
        _waiting()
    images = epoch_images(config, get_dataset_spec(config.dataset).train_images)
    for finding in diagnose_config(config, train_images=images):
        _finding(finding)


@st.fragment(run_every=WARMING_S)
def _waiting() -> None:
    if warm_torch():
        st.rerun()
    with st.container(border=True):
        st.caption("Estimated cost")
        st.skeleton(height=180)


def _cost(config: RunConfig) -> None:
    try:
        # The cost does not depend on the initial weights. A fork may have to recompute the epochs before it, so all
        # epochs are counted.
        resolved = get_lab().validation.resolve(config.replace(init_from="", fork_of="", fork_epoch=0))
        cost, smaller = estimate_cost(resolved)
    except ConfigError as error:
        st.error(with_code(str(error)), icon=":material/error:")
        return
    with st.container(border=True):
        st.caption("Estimated cost")
        with st.grid(2, min_column_width=_MIN_PX, vertical_alignment="bottom"):
            st.metric("Parameters", f"{cost.params:,}")
            st.metric("Mult-adds per image", unbroken(format_count(cost.mult_adds)))
            st.metric(
                "Memory",
                unbroken(format_bytes(cost.memory_bytes)),
                help="Weights, gradients, optimizer, and the activations of one batch or of an evaluation"
                + (", of each device." if cost.devices > 1 else "."),
            )
            about = "" if cost.measured else "≈\u00a0"
            st.metric("Time per epoch", about + unbroken(format_duration(cost.seconds_per_epoch)))
        st.caption(plain(_words(cost)))
        if cost.device.startswith("cuda") and (known := gpu_words(config, steps=cost.steps)):
            st.caption(plain(known))
    if cost.device == "cpu" and cost.memory_bytes > psutil.virtual_memory().total:
        st.warning(plain(memory_words(cost, psutil.virtual_memory().total)), icon=":material/memory:")
    if smaller is not None and min(cost.seconds_per_epoch, cost.seconds) > _LONG_S:
        _offer_smaller(cost, *smaller)


def memory_words(cost: "Estimate", total: int) -> str:
    """Return that a run needs more memory than there is. total: that of the machine, in bytes."""
    return (
        f"The run needs about {format_bytes(cost.memory_bytes)} of memory, but this machine has {format_bytes(total)}: "
        "choose a smaller network, batch or input size."
    )


def _words(cost: "Estimate") -> str:
    length = "Up to the step limit" if cost.limited else plural(cost.epochs, "epoch")
    source = cost.source_text
    place = cost.device if cost.devices == 1 else f"{cost.devices} devices ({cost.device.partition(':')[0]})"
    if cost.devices > 1 and not cost.measured:
        source += f" (from perfect scaling over {cost.devices} devices to no speed-up)"
    return (
        f"{length} on {place}, with start-up and evaluations: {format_range(*cost.range_s)}, {source}. "
        f"Images are {cost.side}×{cost.side}."
    )


def _offer_smaller(cost: "Estimate", size: str, smaller: "Estimate") -> None:
    st.warning(plain(smaller_words(cost, smaller)), icon=":material/hourglass_top:")
    st.button(
        f"Use {smaller.side}×{smaller.side}",
        key=element("smaller-input"),
        on_click=set_field,
        args=("input_size", size),
    )


def smaller_words(cost: "Estimate", smaller: "Estimate") -> str:
    """Return how long an epoch takes, and how long it would take with smaller images."""
    return (
        f"At {cost.side}×{cost.side} pixels, an epoch takes about {format_duration(cost.seconds_per_epoch)} on this "
        f"device; at {smaller.side}×{smaller.side}, about {format_duration(smaller.seconds_per_epoch)}."
    )


def _finding(finding: Finding) -> None:
    with st.container(gap="small"):
        show_finding(finding)
        if finding.remedy:
            st.button(
                f"Set {remedy_words(finding.remedy)}",
                key=element("set-remedy", finding.code),
                on_click=apply_changes,
                args=(dict(finding.remedy),),
            )
