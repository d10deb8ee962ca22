"""The filters of a convolution: at this epoch, before training, and their difference."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from lab.formatting import format_percent, plural
from lab.inspection.kernels import kernel_change
from pages.cache.datasets import INITIAL
from pages.cache.inspection import kernels_of, layers_of
from pages.components.tiles import Tile, tiles
from pages.inside.figures import choose_layer, layer_words, legend
from pages.inside.subject import Subject
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.number_choice import choose_number, show_refusal

_KERNEL_VIEWS = {"now": "Weights", "change": "Change since the start", "before": "Before training"}
_MAX = 256  # tiles shown at once


def show_kernels(subject: Subject) -> None:
    """Show one convolution's filters now, before training, or how they changed."""
    words = {
        layer.name: layer_words(layer.name, layer.type, layer.shape)
        for layer in layers_of(*subject.key)
        if layer.kind.has_kernels
    }
    if not words:
        st.info(
            "This network has no convolution, so it has no kernels. *One value* shows the weights of its linear layers."
        )
        return
    columns = st.columns([2, 2, 1], vertical_alignment="bottom")
    with columns[0]:
        chosen = choose_layer("kernel", words)
    now, before = kernels_of(*subject.key, chosen), kernels_of(subject.run.id, INITIAL, chosen)
    change = kernel_change(now, before)
    with columns[1]:
        view = st.selectbox(
            "Show",
            list(_KERNEL_VIEWS),
            format_func=_KERNEL_VIEWS.__getitem__,
            **INSIDE.widget("weights"),
        )
    with columns[2]:
        source = _input_channel(now.weight.shape[1])
    show_refusal(INSIDE.widget_key("input_channel"), beside=source)
    values = {"now": now.weight, "change": change.difference, "before": before.weight}[str(view)][:, source]
    shown = values[:_MAX]
    labels = [
        Tile(
            label=f"Filter {k}, {moved_words(change.relative[k], unit='per cent of its norm')}",
            one=f"#{k}",
            two=moved_words(change.relative[k]),
        )
        for k in range(len(shown))
    ]
    tiles(
        "inside-kernels",
        paint.pack(paint.paint(shown, scale="diverging")),
        labels,
        name=f"Filters of {chosen}",
        height=now.weight.shape[-1] * max(1, round(70 / now.weight.shape[-1])),
        cell=92,
    )
    legend(*paint.limits(shown, signed=True), "diverging")
    st.caption(kernel_words(change.relative, change.cosine, now.weight.shape, untrained=subject.moment.epoch == 0))


def _input_channel(count: int) -> int:
    if count == 1:
        st.number_input("Input channel", 0, 0, 0, disabled=True, key=element("inside-only-channel"))
        return 0
    return choose_number(INSIDE, "input_channel", "Input channel", 0, count - 1)


def moved_words(share: float, *, unit: str = "%") -> str:
    """Return how far a filter moved. share: of its initial norm, infinite if that was zero."""
    if np.isnan(share):
        return "not a number"
    return f"moved {100 * share:.0f} {unit}" if np.isfinite(share) else "was zero"


def kernel_words(relative: np.ndarray, cosine: np.ndarray, shape: tuple[int, ...], *, untrained: bool) -> str:
    """Return how training changed filters of a shape (filters, channels, H, W).

    relative, cosine: of their `KernelChange`. untrained: whether the filters are those before training.
    """
    channels = plural(shape[1], "input channel")
    first = f"{shape[0]} filters of {shape[2]}×{shape[3]}, {channels} each. "
    if untrained:
        return first + "They have not changed yet: move the slider to see training change them."
    if not relative.any():
        return first + "This layer is frozen: training did not change it."
    known = np.isfinite(relative)
    if not known.any():
        return first + "They were zero at the start, or are not finite now, so their relative change is undefined."
    most = int(np.where(known, relative, -1).argmax())
    alike = cosine[np.isfinite(cosine)]
    turned = f"; mean cosine similarity to the start {alike.mean():.2f}" if len(alike) else ""
    mean, largest = (format_percent(float(each), digits=0) for each in (relative[known].mean(), relative[most]))
    moved = f"they have moved by {mean} of their norm on average, #{most} the most ({largest})"
    return f"{first}Since the start, {moved}{turned}."
