"""The filters of a convolution at this epoch, before training, and what training changed."""

import numpy as np
import streamlit as st

from lab.charts import tiles as paint
from pages.ui.inside_figures import choose_layer, layer_words, legend
from pages.ui.inside_subject import Subject
from pages.ui.looking import INITIAL, kernels_of, layers_of
from pages.ui.parts import Tile, tiles
from pages.ui.state import put, value_of

_KERNEL_VIEWS = {"now": "Weights", "change": "Change since the start", "before": "Before training"}
_MOST = 256  # tiles at once


def show_kernels(subject: Subject) -> None:
    """Show one convolution's filters as they are, were, or changed."""
    from lab.inspection.kernels import kernel_change

    words = {
        layer.name: layer_words(layer.name, layer.type, layer.shape)
        for layer in layers_of(*subject.key)
        if layer.type == "Conv2d"
    }
    columns = st.columns([2, 2, 1], vertical_alignment="bottom")
    with columns[0]:
        chosen = choose_layer("inside.kernel", words)
    now, before = kernels_of(*subject.key, chosen), kernels_of(subject.run.id, INITIAL, chosen)
    change = kernel_change(now, before)
    with columns[1]:
        put("inside.kernel.view", value_of("inside.kernel.view", "now"))
        view = st.selectbox("Show", list(_KERNEL_VIEWS), format_func=_KERNEL_VIEWS.__getitem__,
                            key="inside.kernel.view", persist_state="session")  # fmt: skip
    with columns[2]:
        source = _input_channel(now.weight.shape[1])
    values = {"now": now.weight, "change": change.difference, "before": before.weight}[str(view)][:, source]
    shown = values[:_MOST]
    labels = [
        Tile(
            label=f"Filter {k}, moved by {100 * change.relative[k]:.0f} per cent of its length",
            one=f"#{k}", two=f"moved {_percent(change.relative[k])}",
        )
        for k in range(len(shown))
    ]  # fmt: skip
    tiles(
        "inside-kernels", paint.pack(paint.paint(shown, scale="diverging")), labels, name=f"Filters of {chosen}",
        height=now.weight.shape[-1] * max(1, round(70 / now.weight.shape[-1])), cell=92,
    )  # fmt: skip
    legend(*paint.limits(shown, signed=True), "diverging")
    st.caption(_kernel_words(change.relative, change.cosine, len(now.weight), now.weight.shape, subject))


def _input_channel(count: int) -> int:
    if count == 1:
        st.number_input("Input channel", 0, 0, 0, disabled=True, key="inside.kernel.only")
        return 0
    put("inside.kernel.source", min(int(value_of("inside.kernel.source", 0)), count - 1))
    return int(st.number_input("Input channel", 0, count - 1, key="inside.kernel.source", persist_state="session"))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if np.isfinite(share) else "from zero"


def _kernel_words(
    relative: np.ndarray, cosine: np.ndarray, count: int, shape: tuple[int, ...], subject: Subject
) -> str:
    side = f"{shape[-2]}×{shape[-1]}"
    first = f"{count} filters of {side}, {shape[1]} input channel{'s' if shape[1] > 1 else ''} each. "
    if subject.moment.digest == INITIAL:
        return first + "Nothing has moved yet: move the slider to see training change them."
    if not relative.any():
        return first + "This layer is frozen: training did not touch it."
    finite = np.where(np.isfinite(relative), relative, 0)
    return (
        f"{first}Since the start they moved by {_percent(float(finite.mean()))} of their length on average, most of "
        f"all #{int(finite.argmax())} ({_percent(float(finite.max()))}); mean cosine to the start {np.nanmean(cosine):.2f}."
    )
