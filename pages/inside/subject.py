"""What the Inside page shows: a run, one of its saved epochs, and an image."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st

from lab.data.load import Dataset
from lab.formatting import plural
from lab.metrics import TEST_ACCURACY, VAL_ACCURACY
from lab.runs.records import RunRecord, SavedFile, Series
from pages.cache.datasets import INITIAL, dataset_of, is_sample
from pages.cache.lab import get_lab
from pages.components.epochs import epoch_slider
from pages.registry import page_path
from pages.state.address import complain, find_run
from pages.state.codec import whole_number
from pages.state.inside import INSIDE
from pages.state.keys import element
from pages.widgets.frame import shows_errors
from pages.widgets.runs import run_title, state_badge, with_id

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_LISTED = 200
_POLL_S = 3.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One set of weights: the epoch after which they were saved (0: before training) and their SHA-256."""

    epoch: int
    digest: str

    @property
    def words(self) -> str:
        """A phrase such as "after epoch 3"."""
        return f"after epoch {self.epoch}" if self.epoch else "before training"


@dataclass(frozen=True, slots=True)
class Subject:
    """The run, the chosen moment, all moments of the run, and its data set. listed: the runs that can be chosen."""

    run: RunRecord
    moment: Moment
    moments: tuple[Moment, ...]
    dataset: Dataset
    listed: tuple[RunRecord, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.dataset.spec.classes

    @property
    def answering(self) -> Moment:
        """The moment of the selected weights: its best epoch, or the newest."""
        return selected_moment(self.run, self.moments)

    @property
    def key(self) -> tuple[str, str]:
        """Run id and digest: the key of everything cached for these weights."""
        return self.run.id, self.moment.digest


@dataclass(frozen=True, slots=True)
class Picture:
    """The chosen image: pixels uint8 (H, W) or (C, H, W), its class if known, and a name for captions."""

    pixels: np.ndarray
    label: int | None
    name: str


class ChosenRun(NamedTuple):
    """The run, a container next to its choice, and the newest runs and the examples."""

    run: RunRecord
    beside: "DeltaGenerator"
    listed: tuple[RunRecord, ...]


def choose_run() -> ChosenRun | None:
    """Draw the choice of a run.

    None if there are no runs, which the page then explains, or if the address names an unknown one.
    """
    listed = _list_runs()
    runs = {run.id: run for run in listed if _started(run)}
    found, problem = find_run(INSIDE.text("run"))
    if problem:
        complain(problem)
    if found is not None:
        runs[found.id] = found
    if not runs:
        _no_runs()
        return None
    if not problem:
        if INSIDE.read().run not in runs:
            INSIDE.change(run=next((id for id, run in runs.items() if run.has_weights), next(iter(runs))))
        INSIDE.take("run")
    shown = None if problem else INSIDE.read().run
    widget = INSIDE.widget("run", value=shown, leave=("epoch",), offered=tuple(runs))  # the epoch was another run's
    left, right = st.columns([3, 2], vertical_alignment="bottom")  # a wide page's style overrides the ratio
    with left:
        chosen = st.selectbox(
            "Run",
            list(runs),
            index=None,
            format_func=lambda run: _words(runs[run]),
            placeholder="Choose a run",
            **widget,
        )
    if chosen is None:
        return None
    INSIDE.show("run")
    with right, st.container(horizontal=True, vertical_alignment="center", key=element("inside-beside")):
        state_badge(runs[chosen])
        st.page_link(page_path("train"), label="Curves", icon=":material/show_chart:", query_params={"run": chosen})
        beside = st.container(width="content")
    return ChosenRun(runs[chosen], beside, listed)


def _list_runs() -> tuple[RunRecord, ...]:
    lab = get_lab()
    return (*lab.store.runs.list(limit=_LISTED), *lab.list_examples())


def _started(run: RunRecord) -> bool:
    return run.has_weights or run.state.live


def _words(run: RunRecord) -> str:
    return with_id(f"{run_title(run)} · {run.headline_text or plural(run.config.epochs, 'epoch')}", run.id, letters=6)


def _no_runs() -> None:
    with st.container(border=True):
        st.markdown("**No runs to inspect yet.** Train a network first; each of its epochs can then be opened here.")
        st.page_link(page_path("train"), label="Train a network", icon=":material/play_circle:")


def moments_of(run: RunRecord) -> tuple[tuple[Moment, ...], tuple[SavedFile, ...]]:
    """Return the moments of a run, the untrained network first, and the saved files of the others."""
    newest: dict[int, SavedFile] = {}
    for weights in get_lab().holding(run.id).weights.list(run.id):
        newest[weights.epoch] = weights
    files = tuple(newest[epoch] for epoch in sorted(newest))
    return (Moment(0, INITIAL), *(Moment(file.epoch, file.sha256) for file in files)), files


def selected_moment(run: RunRecord, moments: tuple[Moment, ...]) -> Moment:
    """Return the moment of a run's selected weights: its best epoch, or the newest."""
    return next((moment for moment in moments if moment.epoch == run.headline.epoch), moments[-1])


def choose_moment(run: RunRecord, listed: tuple[RunRecord, ...] = ()) -> Subject | None:
    """Draw the epoch slider and return the subject with the chosen epoch, None while no weights are saved."""
    moments, files = moments_of(run)
    if not files:
        _no_weights(run)
        return None
    points = get_lab().holding(run.id).store.points.read(run.id, series=(VAL_ACCURACY.id, TEST_ACCURACY.id))
    with st.container(border=True, key=element("inside-epochs")):
        index = epoch_slider(
            run.id,
            epochs=[m.epoch for m in moments],
            names=[_epoch_name(run, m) for m in moments],
            start=_start(run, moments),
            val=[None, *_at(points.get(VAL_ACCURACY.id), files)],
            test=[None, *_at(points.get(TEST_ACCURACY.id), files)],
        )
    if run.state.live:
        _watch(run, len(files))
    dataset = dataset_of(run.config.dataset)
    if is_sample(run.config.dataset):
        st.caption(
            f"{dataset.spec.title} is not on this machine. The test images shown are its first "
            f"{len(dataset.test_images):,}, which ship with the examples."
        )
    return Subject(run, moments[index], moments, dataset, listed)


def _epoch_name(run: RunRecord, moment: Moment) -> str:
    """Return the name of an epoch; the selected one is marked, such as "Epoch 3 of 5 (best)"."""
    if not moment.epoch:
        return "Before training"
    return f"Epoch {run.epoch_text if moment.epoch == run.headline.epoch else moment.epoch}"


def _start(run: RunRecord, moments: tuple[Moment, ...]) -> int:
    """Return the slider's initial index: the epoch in the address, else the selected one, else the newest."""
    epochs = [moment.epoch for moment in moments]

    def saved(text: str) -> int:
        epoch = whole_number(text)
        if epoch not in epochs:
            raise ValueError(f"a saved epoch of this run, one from 0 to {epochs[-1]}")
        return epoch

    INSIDE.take("epoch", read=saved)
    wanted = whole_number(INSIDE.text("epoch"))
    if wanted in epochs:
        return epochs.index(wanted)
    answering = run.headline.epoch
    return epochs.index(answering) if answering in epochs else len(epochs) - 1


def _at(series: Series | None, files: tuple[SavedFile, ...]) -> list[float | None]:
    """Return the series' values at the saved files' steps, None for missing and non-finite values."""
    if series is None:
        return [None] * len(files)
    known = {int(s): float(v) for s, v in zip(series.step, series.value) if np.isfinite(v)}
    return [known.get(file.step) for file in files]


def _no_weights(run: RunRecord) -> None:
    with st.container(border=True):
        if run.state.live:
            st.markdown("**The first epoch has not finished yet.** Its weights can be opened here once they are saved.")
            _watch(run, 0)
        else:
            st.markdown(f"**This run ({run.state}) saved no weights**, so there is nothing to inspect.")
            st.page_link(
                page_path("train"), label="Train it again", icon=":material/play_circle:", query_params={"run": run.id}
            )


def _watch(run: RunRecord, known: int) -> None:
    """Rerun the page when the run has saved another epoch or ended. known: epochs that are saved already."""

    @st.fragment(run_every=_POLL_S, key=element("inside-watch", run.id))
    @shows_errors
    def look() -> None:
        fresh = get_lab().store.runs.get(run.id)
        if len({weights.epoch for weights in get_lab().weights.list(run.id)}) != known or not fresh.state.live:
            st.rerun()
        if known:
            st.caption("New epochs appear on the slider as soon as they are saved.")

    look()
