"""One sweep: its progress, best trial, actions, charts and trials."""

from collections.abc import Sequence

import streamlit as st

from lab.architectures.registry import arch_title
from lab.data.registry import dataset_title
from lab.errors import LabError
from lab.formatting import format_duration, format_loss, format_percent, plural, unbroken
from lab.lazy import load
from lab.runs.sweep_titles import sweep_title
from lab.service.sweeps import Best, SweepView
from lab.sweeps.records import Source, SweepRecord, SweepState, TrialRecord, TrialState
from lab.sweeps.spec import METHOD_TITLES, SweepSpec
from pages.cache.lab import get_lab
from pages.markdown import plain
from pages.registry import page_path
from pages.state.address import clear_address
from pages.state.keys import element
from pages.state.session import flash
from pages.state.sweeps import SWEEPS
from pages.sweeps.extend import extend_box
from pages.sweeps.pictures import pictures
from pages.widgets.frame import page_frame, shows_errors
from pages.widgets.runs import REFRESH_S

_BADGES = {
    SweepState.RUNNING: (":material/play_arrow:", "blue"),
    SweepState.PAUSED: (":material/pause:", "orange"),
    SweepState.STOPPED: (":material/stop:", "gray"),
    SweepState.FINISHED: (":material/check:", "green"),
}


def sweep_badge(sweep: SweepRecord) -> None:
    """Show a sweep's state."""
    icon, color = _BADGES[sweep.state]
    st.badge(str(sweep.state), icon=icon, color=color)  # type: ignore[arg-type]


def show_sweep(sweep: SweepRecord) -> None:
    """Draw the whole view of a sweep, which refreshes itself while the sweep is running."""
    page_frame(sweep_title(sweep) or "Sweep")
    SWEEPS.refuse_unknown()
    st.button(
        "All sweeps", icon=":material/arrow_back:", key=element("sweep-back"), type="tertiary", on_click=clear_address
    )
    if sweep.problem:
        st.error(plain(sweep.problem), icon=":material/heart_broken:")
        return
    every = REFRESH_S if sweep.state is SweepState.RUNNING else None
    st.fragment(_body, run_every=every)(sweep.id, str(sweep.state))


@shows_errors
def _body(sweep_id: str, state: str) -> None:
    lab = get_lab()
    shown = lab.sweeps.show(sweep_id)
    if shown.sweep.problem or str(shown.sweep.state) != state:
        st.rerun()  # another state has other buttons, and possibly nothing to refresh
    _head(shown.sweep)
    _actions(shown.sweep)
    _numbers(shown)
    if shown.trials:
        pictures(shown.sweep.asked, shown.trials)
        load("pages.sweeps.table:trials_table")(shown.sweep.asked, shown.trials)


def _head(sweep: SweepRecord) -> None:
    spec = sweep.asked
    with st.container(horizontal=True, vertical_alignment="top"):
        sweep_badge(sweep)
        varied = ", ".join(parameter.spec.label.lower() for parameter in spec.space)
        # One element whether there is a reason or not: another one would make the browser mount everything below it
        # again, possibly during a click.
        words = [f"{METHOD_TITLES[spec.method]} over {varied}; {_basis(spec)}"]
        if sweep.reason:
            words.append(sweep.reason[:1].upper() + sweep.reason[1:] + ".")
        st.caption("  \n".join(map(plain, words)), width="stretch")


def _basis(spec: SweepSpec) -> str:
    words = f"{arch_title(spec.base.arch)} on {dataset_title(spec.base.dataset)}, {plural(spec.base.epochs, 'epoch')}"
    if spec.halving:
        rungs = ", ".join(map(str, spec.rungs({})))
        words += f", evaluated after epochs {rungs}"
    return words


def _actions(sweep: SweepRecord) -> None:
    writable = not get_lab().settings.read_only
    with st.container(horizontal=True, vertical_alignment="center", key=element("sweep-actions")):
        # In a container of their own, so that the popover next to them stays open when the sweep ends.
        with st.container(horizontal=True, width="content"):
            if sweep.state is SweepState.RUNNING:
                _button("Pause", ":material/pause:", sweep, "pause", enabled=writable)
            if sweep.state in (SweepState.PAUSED, SweepState.STOPPED):
                _button("Resume", ":material/play_arrow:", sweep, "resume", enabled=writable)
            if sweep.state in (SweepState.RUNNING, SweepState.PAUSED):
                _button("Stop", ":material/stop:", sweep, "stop", enabled=writable)
        extend_box(sweep, enabled=writable)


def _button(label: str, icon: str, sweep: SweepRecord, what: str, *, enabled: bool) -> None:
    st.button(
        label,
        icon=icon,
        key=element("sweep", what),
        on_click=_ask,
        args=(sweep.id, what),
        disabled=not enabled,
    )


def _ask(sweep_id: str, what: str) -> None:
    lab = get_lab()
    try:
        {"pause": lab.sweeps.pause, "resume": lab.sweeps.resume, "stop": lab.sweeps.stop}[what](sweep_id)
        if what == "resume":
            lab.workers.ensure()
    except LabError as error:
        flash(str(error))


def _numbers(shown: SweepView) -> None:
    with st.container(border=True):
        _totals(shown)
        _best_trial(shown.best)


def _totals(shown: SweepView) -> None:
    spec, trials = shown.sweep.asked, shown.trials
    with st.grid(4, min_column_width=150):
        _best(shown.best)
        asked = f" of {spec.trials}" if spec.trials else ""
        _metric("Trials", f"{len(trials)}{asked}", shown.counts_text)
        saved = saved_share(spec, trials)
        less = f"{format_percent(saved, digits=0)} saved by pausing" if saved else ""
        _metric("Epochs trained", f"{shown.epochs:,}", less)
        budget = f"of {format_duration(spec.seconds)}" if spec.minutes else ""
        _metric("Computing time", format_duration(shown.seconds), budget)


def saved_share(spec: SweepSpec, trials: Sequence[TrialRecord]) -> float:
    """Return the share of all suggested trials' epochs that paused trials did not train, 0 if none are paused.

    Remaining epochs of running and queued trials do not count as saved, nor do epochs that an earlier run trained.
    """
    paid = [trial for trial in trials if trial.source is Source.SUGGESTED and trial.state is not TrialState.COPY]
    whole = [int(trial.params.get("epochs", spec.base.epochs)) for trial in paid]
    left = sum(epochs - trial.epochs for epochs, trial in zip(whole, paid) if trial.state is TrialState.PAUSED)
    return left / sum(whole) if left else 0.0


def _metric(label: str, value: str, words: str) -> None:
    with st.container(gap=None):
        st.metric(label, unbroken(value))
        if words:  # not as the metric's delta, which is truncated if it is long
            st.caption(unbroken(words))


def _best(best: Best | None) -> None:
    if best is None:
        _metric("Best trial", "–", "")
        return
    words = f"validation accuracy after {best.epoch_text}; loss {format_loss(best.measured.val_loss)}"
    _metric("Best trial", format_percent(best.measured.val_accuracy), words)


def _best_trial(best: Best | None) -> None:
    if best is None:
        return
    label, icon = f"Open trial {best.trial.number}", ":material/emoji_events:"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(page_path("train"), label=label, icon=icon, query_params={"run": best.trial.run})
        words = best_words(best)
        if words:
            st.caption(unbroken(words), width="content")


def best_words(best: Best) -> str:
    """Return the best trial's test accuracy, and the epoch that its own page selects instead; "" without either."""
    words = []
    if best.test_accuracy is not None:
        test = format_percent(best.test_accuracy)
        words.append(f"Test accuracy after epoch {best.measured.epoch}, shown only at the end: {test}.")
    if best.selected_text:
        words.append(best.selected_text)
    return " ".join(words)
