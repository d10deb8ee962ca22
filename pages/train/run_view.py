"""One run on the Train page: its settings, state and live curves, and the actions on it.

Everything shown comes from the run's own record, never from the form.
"""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from lab.architectures.registry import arch_title
from lab.charts.live_facts import has_results
from lab.config import RunConfig
from lab.data.registry import dataset_title
from lab.examples.catalogue import is_example
from lab.findings import Finding, outcome_of
from lab.formatting import format_duration, unbroken
from lab.lazy import load
from lab.runs.headline import BEST, LAST
from lab.runs.records import RunRecord, RunRequest, RunState
from pages.cache.datasets import run_samples
from pages.cache.lab import get_lab
from pages.components.live import live_run
from pages.markdown import plain, with_code
from pages.registry import has_page, page_path
from pages.state.codec import write
from pages.state.keys import element
from pages.state.train import TRAIN, fill_form, leave_run
from pages.train.baseline import baseline_input, read_baseline
from pages.train.labels import edit_labels, show_labels
from pages.train.settings_table import settings_table
from pages.widgets.export_panel import export_panel
from pages.widgets.findings import show_run_findings
from pages.widgets.fork_form import fork_popover
from pages.widgets.frame import show_errors, shows_errors
from pages.widgets.lineage import has_relatives, show_origin, show_tree
from pages.widgets.menu import more_menu
from pages.widgets.repeat import repeat_popover
from pages.widgets.run_log import run_log_button
from pages.widgets.runs import REFRESH_S, is_named, run_title, show_moment, state_badge
from pages.widgets.start import start_training

_PAUSABLE = (RunState.QUEUED, RunState.RUNNING)
_UNTESTED = (
    "No epoch is complete, so there are no test results. The weights so far can be inspected and tested with a drawing."
)
_CHANGE = "Opens the form with these settings."
_RESUME_SILENT = (
    "Ends the worker that does not respond, and continues from the last checkpoint. If it cannot be reached, nothing "
    "that it writes later counts."
)
_STOPPABLE = (RunState.QUEUED, RunState.RUNNING, RunState.PAUSED, RunState.INTERRUPTED)


def show_run(run: RunRecord) -> None:
    """Draw the whole view of a run.

    Elements that appear and disappear are in containers of their own. Directly next to the live view, they would
    change its position on the page, and Streamlit would mount it again, without its zoom.
    """
    _heading(run)
    with st.container():
        baseline = read_baseline(run)
        _cached_hint(run)
        if run.reason and run.state not in (RunState.FINISHED, RunState.STOPPED):
            if run.state is RunState.FAILED:
                st.error(with_code(run.reason), icon=":material/error:")
            else:
                st.warning(with_code(run.reason), icon=":material/info:")
        if run.outcome:  # the reason comes first, and what may have caused it next to it
            _findings(run, sorted(run.findings, key=lambda finding: not finding.outcome))
    with st.container(border=True, key=element("live-view")):
        live_run(run, samples=run_samples(run.config.dataset), baseline=baseline.id if baseline else "")
        baseline_input(run, baseline)
    with st.container():  # below the curves, so that they do not move while somebody looks at them
        if has_results(run):
            st.caption(plain(results_words(run)))
        elif run.has_weights and not run.state.live:
            st.caption(_UNTESTED)
        if not run.outcome:
            _findings(run, run.findings)
        for notice in run.notices:
            st.info(plain(notice), icon=":material/info:")
    with st.expander(
        "Epochs as a table", icon=":material/table_rows:", on_change="rerun", key=element("epochs-table", run.id)
    ) as box:
        if box.open:
            load("pages.train.epochs:show_epochs")(run)
    if not is_example(run.id):
        export_panel(get_lab(), (run,), take_in=False)
        if has_relatives(run):
            with st.expander("Lineage: what was changed from run to run", icon=":material/account_tree:"):
                show_tree(run.id, (run,), here=run.id)
    with st.expander("Settings of this run", icon=":material/tune:"):
        st.dataframe(settings_table(run), hide_index=True, width="stretch", alt="Settings of this run")


def _heading(run: RunRecord) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.title(plain(run_title(run)), anchor=False, width="content")
            state_badge(run)
        _controls(run)
    st.fragment(_facts, run_every=REFRESH_S if run.state is RunState.QUEUED else None)(run)
    show_origin(run)
    show_labels(run)


@shows_errors
def _facts(run: RunRecord) -> None:
    """Draw one line of facts. That of a queued run says why it waits, which changes as the queue moves on."""
    why = waiting_reason(run) if run.state is RunState.QUEUED else ""
    what = f"{arch_title(run.config.arch)} on {dataset_title(run.config.dataset)}"
    facts = [what if is_named(run) else "", why or device_words(run), f"run {run.id}"]
    facts.append(f"submitted {show_moment(run.created_at)}" + (f" by {run.owner}" if run.owner else ""))
    st.caption(with_code(" · ".join(fact for fact in (*facts, run.environment.steps_words) if fact)))


def waiting_reason(run: RunRecord) -> str:
    """Return why a queued run is not in training yet, such as "behind 2 runs"; "" if it has just started."""
    return next((entry.why for entry in get_lab().machines.show().waiting if entry.run.id == run.id), "")


def device_words(run: RunRecord) -> str:
    """Return the device that a run trained on, with its name, or that it has none yet."""
    if not run.device:
        return "no device yet"
    name = run.environment.name or ""
    return f"{run.device} ({name})" if name and name.lower() != run.device else run.device


def _controls(run: RunRecord) -> None:
    """Draw the most likely next actions, in two rows on a phone; the last button is a menu with the others."""
    writable = not get_lab().settings.read_only
    own = not is_example(run.id)
    with st.container(horizontal=True, width="content", gap="small"):
        if not run.state.live:
            _use(run)
        if run.state in _PAUSABLE and not run.silent:
            _button("Pause", ":material/pause:", run, RunRequest.PAUSE, enabled=writable and not run.pausing)
        if (run.state.resumable or run.silent) and own:
            words = _RESUME_SILENT if run.silent else None
            _button("Resume", ":material/play_arrow:", run, RunRequest.RUN, enabled=writable, help=words)
        if run.state in _STOPPABLE and own:
            _button("Stop", ":material/stop:", run, RunRequest.STOP, enabled=writable)
        if not run.state.live and st.button(
            "Change settings", icon=":material/tune:", key=element("edit-settings"), help=_CHANGE
        ):
            _change_settings(run)
        with more_menu():
            _more(run, writable=writable, own=own)
        if run.state.live:  # after Pause and Stop, so that these do not move when the first weights are saved
            _use(run)


def _more(run: RunRecord, *, writable: bool, own: bool) -> None:
    """Draw the menu of occasional actions on a run; those that change it are left out if it cannot be changed."""
    if run.state is RunState.FINISHED and own:
        again = _menu_button("Train again", "refresh", element("again", run.id), disabled=not writable)
        start_training(run.config, place=f"again-{run.id}", pressed=again, fresh=True, baseline=run.id)
    if run.state.live and _menu_button("Change settings", "tune", element("edit-settings"), help=_CHANGE):
        _change_settings(run)
    if _menu_button("New training", "add", element("new-training")):
        leave_run()
    if not own:
        return
    if writable:
        if run.state is RunState.FINISHED:
            repeat_popover([run], place=run.id, then=_show_repeats, menu=True)
        fork_popover(run, place="train", menu=True)
        edit_labels(run)
    run_log_button(run.id, menu=True)


def _menu_button(label: str, icon: str, key: str, *, disabled: bool = False, help: str | None = None) -> bool:
    return st.button(label, icon=f":material/{icon}:", key=key, disabled=disabled, help=help, width="stretch")


def _show_repeats(runs: tuple[str, ...]) -> None:
    """Open the curves of all seeds or folds on Runs: their mean and, for three or more, their spread."""
    st.switch_page(page_path("runs"), query_params={"runs": write(runs)})


def _use(run: RunRecord) -> None:
    """Draw the buttons that use a trained network; once a run has ended, they are the primary ones."""
    for name, label, icon in (("inside", "Look inside", "visibility"), ("draw", "Test with a drawing", "draw")):
        if (run.has_weights or run.state.live) and has_page(name):
            kind: Literal["primary", "secondary"] = "secondary" if run.state.live else "primary"
            missing = not run.has_weights  # disabled instead of hidden, so that nothing moves when weights are saved
            if st.button(label, icon=f":material/{icon}:", key=element(name, run.id), type=kind, disabled=missing):
                st.switch_page(page_path(name), query_params={"run": run.id})


def _button(
    label: str, icon: str, run: RunRecord, request: RunRequest, *, enabled: bool, help: str | None = None
) -> None:
    pressed = st.button(label, icon=icon, key=element(str(request), run.id), disabled=not enabled, help=help)
    if pressed:
        with show_errors():
            get_lab().submissions.control(run.id, request)
            if request is RunRequest.RUN:
                get_lab().workers.ensure()
            st.rerun()


def _cached_hint(run: RunRecord) -> None:
    if TRAIN.read().cached != run.id or run.state is not RunState.FINISHED:
        return
    when = show_moment(run.finished_at or run.created_at)
    st.info(
        f"These settings were already trained on {when}, in {unbroken(format_duration(run.seconds))}. This is that "
        "run. *Train again*, under *More*, starts a new one.",
        icon=":material/history:",
    )


def results_words(run: RunRecord) -> str:
    """Return which epoch the results are those of, and how the run ended."""
    headline = run.headline
    if not headline.saved:
        return f"No weights are saved; these are the results of epoch {run.epoch_text}." if run.epoch_text else ""
    unvalidated = "the run was not validated" if headline.val_accuracy is None else "no validation loss is finite"
    why = {BEST: ", which has the lowest validation loss", LAST: f", the last one, as {unvalidated}"}
    words = f"Accuracies and loss are those of epoch {headline.epoch}{why.get(headline.which, '')}. "
    words += "Its weights are used on Inside and Draw and are exported."
    words += f" The run {run.end_text}." if run.end_text else ""
    return f"{words} It {run.early_text}." if run.early_text else words


def _findings(run: RunRecord, findings: Sequence[Finding]) -> None:
    show_run_findings(run.config, findings, train_again=lambda config: _change_settings(run, config))
    if run.has_weights and outcome_of(findings):  # it did not learn, and its gradients may show why
        query = {"run": run.id, "view": "gradients"}
        st.page_link(page_path("inside"), label="Gradients of its layers", icon=":material/stacks:", query_params=query)


def _change_settings(run: RunRecord, config: RunConfig | None = None) -> None:
    """Open the form with a run's settings, or others; the run becomes the baseline of the one that is started there."""
    fill_form(config or run.config, baseline=run.id)
    leave_run()
