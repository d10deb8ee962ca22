"""What flows back through the network: gradients, changes of the weights and dead units, by layer and saved epoch."""

import time
from collections.abc import Sequence

import streamlit as st

from lab.charts.gradients import FlowMap, flow_map, flow_map_figure, flow_map_words
from lab.charts.magnitudes import magnitudes_figure
from lab.formatting import percent_number, plural
from lab.inspection.gradient_flow import QUANTITIES, EpochFlow, FlowQuantity, LayerFlow, read_flow
from lab.network_counts import FORWARD_BACKWARD
from pages.cache.datasets import is_sample
from pages.cache.gradients import batch_of, batch_size_of, gradients_of
from pages.components.plot import plot
from pages.inside.subject import Subject
from pages.markdown import plain
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.segments import choose_segment
from pages.widgets.theme import dark
from pages.widgets.waiting import times_at_once, worth_waiting

_MOST = 32  # columns; loading the weights of one takes longer than a small network's gradients
_FEWEST = 3  # columns: the first, the chosen and the last epoch
_NARROW_PX = 600
_SILENT_S = 0.7  # before the progress is shown; cached epochs take less
_COLUMNS = {
    "Weights": st.column_config.NumberColumn(format="localized"),
    "Gradient": st.column_config.NumberColumn(format="%.3g", help=QUANTITIES["gradient"].help),
    "Gradient norm": st.column_config.NumberColumn(format="%.3g"),
    "Weight norm": st.column_config.NumberColumn(format="%.3g"),
    "Gradient ÷ weights": st.column_config.NumberColumn(format="%.3g", help=QUANTITIES["ratio"].help),
    "Weight change": st.column_config.NumberColumn(format="%.2f %%", help=QUANTITIES["change"].help),
    "Zero outputs": st.column_config.NumberColumn(format="%.1f %%", help=QUANTITIES["zeros"].help),
    "Dead units": st.column_config.NumberColumn(format="%.1f %%", help=QUANTITIES["dead"].help),
}


def show_gradients(subject: Subject) -> None:
    """Draw the heat map of the epochs, and the layers of the chosen one."""
    titles = {name: quantity.title for name, quantity in QUANTITIES.items()}
    quantity = choose_segment(INSIDE, "quantity", titles, label="Quantity")
    picture = st.container()
    places = _places(subject)
    if not places:
        return
    flows = _compute(subject, places)
    chosen = next(flow for flow in flows if flow.epoch == subject.moment.epoch)
    with picture:
        _heat_map(flow_map(flows, quantity, chosen=chosen.epoch))
        st.markdown("\n".join(f"- {plain(sentence)}" for sentence in read_flow(chosen)))
        st.caption(_origin(subject, shown=len(flows)))
    _layers(subject, chosen)
    _all_epochs(flows, quantity)


def _places(subject: Subject) -> list[int]:
    """Return the indices of the moments to compute, none if the user has to accept the wait first."""
    count, chosen = len(subject.moments), subject.moments.index(subject.moment)
    passes = FORWARD_BACKWARD * batch_size_of(subject.run)
    full = evenly_spaced(count, chosen, most=_MOST)
    most = min(_MOST, max(_FEWEST, times_at_once(subject.run, passes=passes)))
    quick = evenly_spaced(count, chosen, most=most)
    if not _ask(subject, quick, "these"):
        return []
    return full if len(full) > len(quick) and _ask(subject, full, "more") else quick


def _ask(subject: Subject, places: Sequence[int], which: str) -> bool:
    """Return whether to compute these moments. The answer is valid for all of them, wherever the slider is."""
    return worth_waiting(
        subject.run,
        passes=FORWARD_BACKWARD * batch_size_of(subject.run) * len(places),
        what=f"Computing the gradients of {plural(len(places), 'epoch')}",
        key=element("gradients", subject.run.id, which),
    )


def evenly_spaced(count: int, chosen: int, *, most: int) -> list[int]:
    """Return some of `count` indices: about `most` at equal distances, the last one and the chosen one.

    The distance is a power of two, so that a run in training seldom replaces the epochs that are computed already.
    """
    step = 1
    while len(range(0, count, step)) > most:
        step *= 2
    return sorted({*range(0, count, step), count - 1, chosen})


def _compute(subject: Subject, places: Sequence[int]) -> list[EpochFlow]:
    """Return the gradients at these moments, cached; the progress is shown if it takes long."""
    bar, began, flows = st.empty(), time.monotonic(), []
    with st.spinner("Computing the gradients"):
        for done, place in enumerate(places):
            if time.monotonic() - began > _SILENT_S:
                words = f"{subject.moments[place].words.capitalize()}, {done + 1} of {len(places)}"
                bar.progress(done / len(places), text=words)
            flows.append(_flow(subject, place))
    bar.empty()
    return flows


def _flow(subject: Subject, place: int) -> EpochFlow:
    before = subject.moments[place - 1].digest if place else None
    return gradients_of(subject.run.id, subject.moments[place].digest, subject.run.config.dataset, before)


def _heat_map(info: FlowMap) -> None:
    st.caption(info.quantity.help)
    figure, narrow = (flow_map_figure(info, dark=dark(), narrow=each) for each in (False, True))
    plot(
        "inside-gradients",
        figure,
        words=flow_map_words(info),
        name="gradients",
        narrow=narrow,
        narrow_below=_NARROW_PX,
    )


def _origin(subject: Subject, *, shown: int) -> str:
    """Return what the heat map shows, and how the numbers are computed."""
    run = subject.run
    images = len(batch_of(run.id, run.config.dataset).labels)
    sample = is_sample(run.config.dataset)
    source = "the training set that ship with the examples" if sample else "the run's first training batch"
    count = len(subject.moments)
    some = f" {shown} of {count} saved epochs are shown." if shown < count else ""
    return (
        f"First layer on top; the chosen epoch has a frame.{some} Computed from the saved weights for "
        f"{plural(images, 'image')} of {source}, with the run's own loss, in training mode and without augmentation. "
        "Biases and batch norm are left out."
    )


def _layers(subject: Subject, flow: EpochFlow) -> None:
    st.header(f"Layers {subject.moment.words}", anchor=False)
    figure = magnitudes_figure(flow, dark=dark())
    if figure is not None:
        words = f"Ranges of the weights and gradients of {plural(len(flow.layers), 'layer')} {subject.moment.words}"
        plot("inside-magnitudes", figure, words=words, name="magnitudes")
        st.caption("Lines span 90 % of the values that are not 0, points are their medians.")
    st.dataframe(
        [_row(layer) for layer in flow.layers],
        hide_index=True,
        width="stretch",
        key=element("inside-gradients-layers"),
        placeholder="–",
        alt=f"Gradients of every layer {subject.moment.words}",
        column_config=_COLUMNS,
    )


def _row(layer: LayerFlow) -> dict[str, object]:
    return {
        "Layer": layer.label,
        "Weights": layer.count,
        "Gradient": layer.rms,
        "Gradient norm": layer.gradient and layer.gradient.norm,
        "Weight norm": layer.weights.norm,
        "Gradient ÷ weights": layer.ratio,
        "Weight change": percent_number(layer.change),
        "Zero outputs": percent_number(layer.zeros),
        "Dead units": percent_number(layer.dead),
    }


def _all_epochs(flows: Sequence[EpochFlow], quantity: str) -> None:
    """Show the numbers of the heat map."""
    chosen = QUANTITIES[quantity]
    with st.expander(f"{chosen.title} at every epoch shown"):
        columns = {str(flow.epoch): {layer.name: _shown(chosen, layer) for layer in flow.layers} for flow in flows}
        st.dataframe(
            [
                {"Layer": layer.label, **{epoch: column.get(layer.name) for epoch, column in columns.items()}}
                for layer in flows[0].layers
            ],
            hide_index=True,
            width="stretch",
            key=element("inside-gradients-epochs"),
            placeholder="–",
            alt=f"{chosen.title} of every layer, a column per epoch",
            column_config={
                epoch: st.column_config.NumberColumn(format="%.3g %%" if chosen.share else "%.3g") for epoch in columns
            },
        )


def _shown(quantity: FlowQuantity, layer: LayerFlow) -> float | None:
    value = quantity.read(layer)
    return percent_number(value) if quantity.share else value
