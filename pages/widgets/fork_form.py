"""Continue from an epoch: a small form with the settings that a fork usually changes, and a button for all of them."""

from typing import Any

import streamlit as st

from lab.config import FIELDS, RunConfig
from lab.examples.catalogue import is_example
from lab.runs.edits import NAME_LIMIT
from lab.runs.records import RunRecord
from lab.service.forks import ForkPoint, fork_config, list_fork_points
from lab.service.lineage import change_words
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.registry import page_path
from pages.state.keys import element
from pages.state.train import TRAIN, fill_form
from pages.widgets.frame import show_errors
from pages.widgets.menu import fold
from pages.widgets.runs import run_title
from pages.widgets.setting_input import setting_input
from pages.widgets.start import start_training

_MIN_PX = 115  # in a narrower column, labels would be cut off; a popover on a phone fits two columns
_OFFERED = ("epochs", "lr", "schedule", "batch_size", "weight_decay", "augment")


def fork_popover(run: RunRecord, *, place: str, epoch: int | None = None, menu: bool = False) -> None:
    """Draw the form in a popover, if the run has an epoch to continue from.

    epoch: the epoch to continue from; None offers a choice. menu: draw it as a part of a menu (`fold`).
    """
    if is_example(run.id):
        return
    points = {point.epoch: point for point in list_fork_points(get_lab().store, run)}
    if not points or (epoch is not None and epoch not in points):
        return
    label = "Continue from epoch …" if epoch is None else f"Continue from epoch {epoch}"
    with fold(label, icon=":material/fork_right:", menu=menu, disabled=get_lab().settings.read_only):
        point = points[epoch] if epoch is not None else _choose(run, points)
        changes = _changes(run, point)
        with show_errors():
            config = fork_config(point, **changes)
            st.caption(plain(f"From epoch {point.epoch} of {run_title(run)}: {change_words(run.config, config)}."))
            _buttons(run, config, place=place)


def _choose(run: RunRecord, points: dict[int, ForkPoint]) -> ForkPoint:
    epochs = sorted(points, reverse=True)
    best = run.headline.epoch
    start = best if best in points else epochs[0]

    def words(epoch: int) -> str:
        return f"{epoch} (best)" if epoch == best else str(epoch)

    widget = TRAIN.widget("fork", item=f"{run.id}.epoch", default=start)
    chosen = st.selectbox("After epoch", epochs, format_func=words, **widget)
    return points[chosen]


def _changes(run: RunRecord, point: ForkPoint) -> dict[str, Any]:
    """Draw the settings and return their values. Epochs are counted from the start of the original run."""
    usual = {name: getattr(run.config, name) for name in _OFFERED}
    usual["epochs"] = max(run.config.epochs, point.epoch + 1)
    with st.grid(2, min_column_width=_MIN_PX) as grid:
        for name, value in usual.items():
            with grid.cell():
                setting_input(FIELDS[name], TRAIN.widget("fork", item=f"{run.id}.{name}", default=value))
    entered = TRAIN.read().fork
    return {name: entered.get(f"{run.id}.{name}", value) for name, value in usual.items()}


def _buttons(run: RunRecord, config: RunConfig, *, place: str) -> None:
    with st.container(horizontal=True):
        pressed = st.button("Start", type="primary", icon=":material/play_arrow:", key=element("fork", place, run.id))
        every = st.button("All settings", icon=":material/tune:", key=element("fork-form", place, run.id))
    if every:
        fill_form(config, baseline=run.id)
        st.switch_page(page_path("train"), query_params={})
    name = f"{run_title(run)} after epoch {config.fork_epoch}"[:NAME_LIMIT]
    start_training(config, place=f"fork-{place}-{run.id}", pressed=pressed, name=name, baseline=run.id)
