"""Actions on hosts: drain one, let it take runs again, remove it from the list, or add another one."""

from collections.abc import Callable

import streamlit as st

from lab.errors import LabError
from lab.runs.hosts import HostState
from lab.service.machines import HostView
from pages.cache.lab import get_lab
from pages.markdown import with_code
from pages.server.announce import LOOPBACK
from pages.state.keys import element
from pages.state.session import flash


def host_buttons(host: HostView) -> None:
    """Draw the buttons of one host."""
    lab = get_lab()
    if lab.settings.read_only:
        return
    if host.state is HostState.ACTIVE:
        _button(
            "Drain",
            ":material/pause_circle:",
            host,
            lab.machines.drain,
            "Its runs go back to the queue, and it takes no new ones.",
        )
    elif host.state is HostState.DRAINING:
        _button(
            "Take runs again",
            ":material/play_circle:",
            host,
            lab.machines.undrain,
            "It takes runs from the queue again.",
        )
    if not host.here and (host.joined or not host.alive):
        _button("Remove", ":material/delete:", host, lab.machines.remove, "It comes back only by joining again.")


def _button(label: str, icon: str, host: HostView, act: Callable[[str], None], tip: str) -> None:
    st.button(
        label,
        icon=icon,
        type="tertiary",
        help=tip,
        key=element(f"machine-{label.lower().replace(' ', '-')}", host.name),
        on_click=_do,
        args=(act, host.name),
    )


def _do(act: Callable[[str], None], host: str) -> None:
    try:
        act(host)
    except LabError as error:
        flash(str(error))


def join_box() -> None:
    """Draw the expander with the command that lets another machine join."""
    with st.expander("Add a machine", icon=":material/add:", on_change="rerun", key=element("machine-add")) as box:
        if box.open:
            _join_command()


def _join_command() -> None:
    if str(st.get_option("server.address") or "") not in LOOPBACK:
        # The token contains the database's password, and everybody on the network can see this page.
        st.caption("This page is reachable from the network. To get a token, run this on the lab's machine:")
        st.code("python -m lab machines token", language=None)
        return
    try:
        token = get_lab().machines.make_token()
    except LabError as error:
        st.info(with_code(str(error)), icon=":material/info:")
        return
    st.caption(
        "Run this on the other machine, which needs the same release of ConvLab. The token contains the database's "
        "password."
    )
    st.code(f"python -m lab worker --join {token}", language=None, wrap_lines=True)
