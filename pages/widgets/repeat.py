"""Repeating the settings of runs with more seeds or on more folds, from a run's page and from Runs.

Its number inputs have no bounds, as in `pages.widgets.setting_input`.
"""

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from lab.config import RunConfig
from lab.errors import ConfigError
from lab.formatting import plural
from lab.runs.records import RunRecord, RunState
from lab.service.repeats import USUAL_FOLDS, USUAL_SEEDS
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_seconds
from pages.state.asking import asking_owner
from pages.state.keys import ElementKey, element
from pages.state.session import close_popover
from pages.state.shared import REPEAT
from pages.widgets.confirm import start_unless_long
from pages.widgets.frame import show_errors
from pages.widgets.menu import fold

_SEEDS, _FOLDS = "seeds", "folds"
_KINDS: Mapping[str, str] = {_SEEDS: "Seeds", _FOLDS: "Folds"}
_WORDS: Mapping[str, str] = {
    _SEEDS: "The same settings with different seeds. Five seeds of each can tell which of two settings is better on "
    "this test set.",
    _FOLDS: "k-fold cross-validation: the training images are divided into folds, and each run is evaluated on the "
    "fold that it was not trained on. Folds can tell which of two settings is better without using the test set.",
}


def repeat_popover(
    runs: Sequence[RunRecord], *, place: str, then: Callable[[tuple[str, ...]], None], menu: bool = False
) -> None:
    """Draw the button and its popover: how many seeds or folds there should be of each setting of these runs.

    then: called with the ids of all runs of these settings once the missing ones are queued, or to show them; it must
    rerun or leave the page. menu: draw it as a part of a menu (`fold`).
    """
    writable = bool(runs) and not get_lab().settings.read_only
    with (
        fold("Repeat", icon=":material/casino:", menu=menu, disabled=not writable, key=None if menu else _box(place)),
        st.container(key=element("repeat", place)),
    ):
        divided = any(run.config.folds for run in runs)
        kind = st.segmented_control(
            "Repeat with",
            list(_KINDS),
            format_func=_KINDS.__getitem__,
            required=True,
            **REPEAT.widget("kind", item=place, default=_FOLDS if divided else _SEEDS),
        )
        if kind == _FOLDS:
            held = REPEAT.widget(
                "folds", item=place, default=max([run.config.folds for run in runs] or [0]) or USUAL_FOLDS
            )
            folds, seeds = int(st.number_input("Number of folds", step=1, **held)), None
        else:
            held = REPEAT.widget("seeds", item=place, default=USUAL_SEEDS)
            words = "Total seeds, each with every fold" if divided else "Total seeds"
            folds, seeds = None, int(st.number_input(words, step=1, **held))
        st.caption(_WORDS[kind])
        fill_button(runs, seeds=seeds, folds=folds, place=place, then=then)


def close_repeat(place: str) -> None:
    """Close the popover of `repeat_popover`. Call it before a rerun."""
    close_popover(_box(place))


def _box(place: str) -> ElementKey:
    return element("repeat-box", place)


def fill_button(
    runs: Sequence[RunRecord],
    *,
    place: str,
    then: Callable[[tuple[str, ...]], None],
    seeds: int | None = None,
    folds: int | None = None,
) -> None:
    """Draw the button that queues the missing seeds or folds. runs: one for each setting.

    seeds, folds: as in `Repeating.plan`. If nothing is missing, the button shows the existing runs instead.
    """
    lab = get_lab()
    with show_errors():
        plans = lab.repeating.plan(runs, seeds=seeds, folds=folds)
        total = sum(len(plan.missing) for plan in plans)
        if not total:
            if st.button("Show all runs", icon=":material/visibility:", key=element("repeat-show", place)):
                then(tuple(run.id for plan in plans for run in plan.runs))
            return
        pressed = st.button(
            f"Train {plural(total, 'more run')}",
            icon=":material/playlist_add:",
            type="primary",
            key=element("repeat-fill", place),
            disabled=lab.settings.read_only,
        )

        def act() -> None:
            filled = lab.repeating.fill_all(runs, seeds=seeds, folds=folds, owner=asking_owner())
            lab.workers.ensure()
            then(tuple(run.id for one in filled for run in one.runs))

        start_unless_long(
            f"repeat-{place}",
            pressed=pressed,
            seconds=lambda: sum(
                _seconds(run, config) for run, plan in zip(runs, plans, strict=True) for config in plan.missing
            ),
            act=act,
            runs=total,
        )


def _seconds(run: RunRecord, config: RunConfig) -> float:
    """Return how long a repeat of a run takes: as long as the run, scaled by its images, else an estimate or 0."""
    if run.state is RunState.FINISHED and run.seconds:
        return run.seconds * (1 - config.held_out) / (1 - run.config.held_out)
    try:
        return estimate_seconds(config)
    except ConfigError:
        return 0.0
