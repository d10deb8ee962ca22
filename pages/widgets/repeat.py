"""Asking for the settings of runs with more seeds, from a run's page and from Runs."""

from collections.abc import Callable, Sequence

import streamlit as st

from lab.errors import ConfigError
from lab.formatting import plural
from lab.runs.records import RunRecord, RunState
from lab.service.repeats import MOST_SEEDS, USUAL_SEEDS
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_seconds
from pages.state.asking import asking_owner
from pages.state.keys import element
from pages.state.shared import REPEAT
from pages.widgets.confirm import start_unless_long
from pages.widgets.frame import show_errors


def repeat_popover(runs: Sequence[RunRecord], *, place: str, then: Callable[[tuple[str, ...]], None]) -> None:
    """Draw the button and what it opens: how many seeds each setting of these runs shall have.

    then: called with the ids of all runs of these settings once the missing ones are queued, or to show them; it reruns or leaves the page.
    """
    writable = bool(runs) and not get_lab().settings.read_only
    with (
        st.popover("Repeat with seeds", icon=":material/casino:", disabled=not writable),
        st.container(key=element("repeat", place)),
    ):
        held = REPEAT.widget("seeds", item=place, default=USUAL_SEEDS)
        seeds = int(st.number_input("Seeds in all", 2, MOST_SEEDS, **held))
        st.caption("The same settings with other seeds. Five of each side can say whether one setting is better.")
        fill_button(runs, seeds=seeds, place=place, then=then)


def fill_button(runs: Sequence[RunRecord], *, seeds: int, place: str, then: Callable[[tuple[str, ...]], None]) -> None:
    """Draw the button that queues what is missing of so many seeds, for the settings of these runs, one run each.

    Where nothing is missing, it shows the runs there are.
    """
    lab = get_lab()
    found = lab.repeating.find_all(runs)
    missing = [max(0, seeds - len(one.runs)) for one in found]
    total = sum(missing)
    if not total and st.button("Show all seeds", icon=":material/visibility:", key=element("repeat-show", place)):
        then(tuple(run.id for one in found for run in one.runs))
    if not total:
        return
    pressed = st.button(
        f"Train {plural(total, 'more run')}",
        icon=":material/playlist_add:",
        type="primary",
        key=element("repeat-fill", place),
        disabled=lab.settings.read_only,
    )

    def act() -> None:
        taken = {seed for one in found for seed in one.seeds}
        filled = [lab.repeating.fill(run, seeds=seeds, like=taken, owner=asking_owner()) for run in runs]
        lab.workers.ensure()
        then(tuple(run.id for one in filled for run in one.runs))

    with show_errors():
        start_unless_long(
            f"repeat-{place}",
            pressed=pressed,
            seconds=lambda: sum(n * _seconds(run) for n, run in zip(missing, runs, strict=True) if n),
            act=act,
            runs=total,
        )


def _seconds(run: RunRecord) -> float:
    """Return how long one more run of these settings takes: as long as this one took, else an estimate, 0 if unknown."""
    if run.state is RunState.FINISHED and run.seconds:
        return run.seconds
    try:
        return estimate_seconds(run.config)
    except ConfigError:
        return 0.0
