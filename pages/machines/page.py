"""Machines: hosts, their slots and the runs in them, the number of slots of this machine, and why other runs wait."""

from collections.abc import Sequence

import streamlit as st

from lab.errors import LabError
from lab.formatting import plural
from lab.runs.hosts import HostState
from lab.runs.records import SILENT, RunRecord
from lab.service.machines import HostView, SlotView, Waiting
from pages.cache.lab import get_lab
from pages.machines.host_actions import host_buttons, join_box
from pages.markdown import plain, with_code
from pages.registry import page_path
from pages.state.keys import element
from pages.state.machines import MACHINES
from pages.state.session import refuse
from pages.widgets.frame import page_frame, show_errors, shows_errors
from pages.widgets.number_choice import show_refusal
from pages.widgets.run_log import run_log_button, show_log
from pages.widgets.runs import REFRESH_S, SILENT_BADGE, run_line, run_title

_LOG_SHOWN = 6_000  # characters of a log, from its end
_SLOT_PX, _JOB_PX = 90, 130  # one width for the names of all slots of a host, so that their runs line up
_SHOWN = 20  # waiting runs that are listed; `python -m lab machines` has no limit


def main() -> None:
    """Draw the page."""
    page_frame("Machines", "Where runs are trained: one run per slot. The others wait in the queue.")
    MACHINES.refuse_unknown()
    with show_errors():
        _slots_box()
        join_box()
        st.fragment(shows_errors(_overview), run_every=REFRESH_S)()


def _slots_box() -> None:
    lab = get_lab()
    machines = lab.machines
    fixed = machines.slots_fixed
    st.number_input(
        "Runs at once on this machine",
        step=1,
        disabled=fixed or lab.settings.read_only,
        width=260,
        help="One worker process per slot. Slots on a CPU share its cores: each run is slower, but together they are "
        "faster. A change ends no run: workers that are no longer needed, or that get a different share of the cores, "
        "exit after their current run.",
        **MACHINES.widget("slots", value=machines.slots, then=_set_slots),
    )
    show_refusal(MACHINES.widget_key("slots"), beside=machines.slots)
    if fixed:
        st.caption("Set by LAB_SLOTS when the lab was started.")


def _set_slots() -> None:
    machines, sentence = get_lab().machines, ""
    try:
        machines.set_slots(MACHINES.read().slots)
    except (LabError, OSError) as error:
        sentence = str(error)
    refuse(MACHINES.widget_key("slots"), sentence, beside=machines.slots)


def _overview() -> None:
    lab = get_lab()
    view = lab.machines.show(limit=_SHOWN)
    held = [slot.run for host in view.hosts for slot in host.slots if slot.run]
    runs = {run.id: run for run in lab.store.runs.list(ids=held, limit=None, problems=True)} if held else {}
    for host in view.hosts:
        _host(host, runs)
    full = len(view.waiting) == _SHOWN
    _waiting(view.waiting, max(_SHOWN, lab.store.queue.count_queued()) if full else len(view.waiting))


def _host(host: HostView, runs: dict[str, RunRecord]) -> None:
    with st.container(border=True, key=element("machine", host.host)):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(plain(host.host), anchor=False, width="content")
            _host_badge(host, [runs[slot.run] for slot in host.slots if slot.run in runs])
            facts = [
                *(["this machine"] if host.here else []),
                plural(sum(not (slot.surplus or slot.job) for slot in host.slots), "slot"),
            ]
            st.caption(" · ".join(facts), width="content")
            host_buttons(host)
        if host.reason:
            st.caption(with_code(host.reason))
        width = _JOB_PX if any(slot.job for slot in host.slots) else _SLOT_PX
        for slot in host.slots:
            _slot(host, slot, runs, width)


def _host_badge(host: HostView, held: Sequence[RunRecord]) -> None:
    if host.state is HostState.REFUSED:
        st.badge("refused", icon=":material/block:", color="red")
    elif host.state is HostState.DRAINING:
        busy = any(slot.run for slot in host.slots)
        st.badge("draining" if busy else "drained", icon=":material/pause_circle:", color="orange")
    elif held and all(run.silent for run in held):
        _silent_badge()
    elif any(slot.run for slot in host.slots):
        st.badge("training", icon=":material/play_arrow:", color="blue")
    elif host.alive:
        st.badge("ready", icon=":material/check:", color="green")
    elif host.here:
        st.badge("idle", icon=":material/bedtime:", color="gray")
    else:
        _silent_badge()


def _silent_badge() -> None:
    icon, color = SILENT_BADGE
    st.badge(SILENT, icon=icon, color=color)  # type: ignore[arg-type]


def _slot(host: HostView, slot: SlotView, runs: dict[str, RunRecord], width: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=element("machine-slot", host.host, slot.slot)):
        name = slot.job or (slot.slot if slot.slot.startswith(slot.device) else f"{slot.slot} ({slot.device})")
        st.markdown(f"**{plain(name)}**", width=width)
        run = runs.get(slot.run or "")
        if run is not None:
            run_line(run, key=element("machine-run", run.id))
            if slot.job:
                _log(run)
            else:
                run_log_button(run.id)
            if slot.surplus:
                st.caption("its worker exits after this run", width="content")
        elif slot.run:  # it has ended in the meantime
            st.caption("switching to the next run", width="content")
        elif slot.alive:
            st.caption("free", width="content")
        else:
            st.caption(_empty_slot(host), width="content")


def _empty_slot(host: HostView) -> str:
    """Return why a slot has no worker."""
    if host.state is not HostState.ACTIVE:
        return "takes no runs"
    return "a worker starts on demand" if host.here or (host.joined and host.alive) else "no worker responds"


def _waiting(waiting: tuple[Waiting, ...], total: int) -> None:
    if not waiting:
        st.caption("No runs are waiting.")
        return
    st.subheader(f"{plural(total, 'run')} waiting", anchor=False)
    for entry in waiting:
        with st.container(horizontal=True, vertical_alignment="center", key=element("machine-waiting", entry.run.id)):
            st.page_link(page_path("train"), label=plain(run_title(entry.run)), query_params={"run": entry.run.id})
            st.caption(with_code(entry.why), width="content")
            if entry.job:
                _log(entry.run)
    if total > len(waiting):
        st.caption(f"Only the first {_SHOWN} are shown; `python -m lab machines` lists all.")


def _log(run: RunRecord) -> None:
    """Draw a popover with the log of a run's job; the executor is queried only when it is opened."""
    with st.popover(
        "Log", icon=":material/terminal:", type="tertiary", key=element("machine-log", run.id), on_change="rerun"
    ) as box:
        if not box.open:
            return
        with show_errors():
            text = get_lab().machines.jobs.log(run)
            show_log(text[-_LOG_SHOWN:] or "The job has written nothing yet.")


main()
