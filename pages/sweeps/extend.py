"""Extending a sweep: more trials, more minutes, another space, earlier runs as history.

Its number inputs have no bounds, as in `pages.widgets.setting_input`.
"""

from functools import partial
from typing import Any

import streamlit as st

from lab.errors import LabError
from lab.formatting import plural
from lab.sharing.comparison import setting_words
from lab.sweeps.records import SweepRecord
from lab.sweeps.space import Parameter, read_space
from pages.cache.lab import get_lab
from pages.state.keys import element
from pages.state.session import close_popover, flash
from pages.state.sweeps import SWEEPS
from pages.widgets.popover import action_popover

_BOX = element("sweep-extend")


def extend_box(sweep: SweepRecord, *, enabled: bool) -> None:
    """Draw the button that opens the form, and the form."""
    with action_popover("Extend or narrow", icon=":material/tune:", disabled=not enabled, key=_BOX):
        spec = sweep.asked
        if spec.trials:  # a grid ends with its combinations, and minutes can be the only limit
            st.number_input("More trials", step=1, **SWEEPS.widget("more_trials"))
        if spec.minutes:
            st.number_input("More minutes of computing", step=1.0, format="%g", **SWEEPS.widget("more_minutes"))
        st.caption("Ranges of the next trials. Trials outside of them stay as history.")
        space = {parameter.name: _parameter(sweep, parameter) for parameter in spec.space}
        st.button(
            "Continue with these",
            type="primary",
            key=element("sweep-extend-now"),
            on_click=partial(_extend, sweep, space),
        )
        st.button(
            "Adopt earlier runs",
            help="Adds every run whose settings lie in the ranges and otherwise equal the sweep's as history. The next "
            "suggestions learn from them, at no cost.",
            key=element("sweep-adopt"),
            on_click=partial(_adopt, sweep),
        )


def _parameter(sweep: SweepRecord, parameter: Parameter) -> dict[str, Any]:
    """Draw one setting's range or values, and return them in the form that `read_space` takes."""
    item = f"{sweep.id}.{parameter.name}"
    given = parameter.as_dict()
    if parameter.values:
        st.multiselect(
            parameter.spec.label,
            parameter.values,
            format_func=partial(setting_words, parameter.name),
            **SWEEPS.widget("values", item=item, default=parameter.values),
        )
        return {**given, "values": list(SWEEPS.read().values.get(item, parameter.values))}
    low, high = parameter.bounds
    whole = parameter.whole
    number = int if whole else float
    rest: dict[str, Any] = {"step": 1} if whole else {"format": "%.6g", "step": abs(low) or 0.01}
    with st.container(horizontal=True):
        st.number_input(f"{parameter.spec.label} from", **rest, **SWEEPS.widget("low", item=item, default=number(low)))
        st.number_input(f"{parameter.spec.label} to", **rest, **SWEEPS.widget("high", item=item, default=number(high)))
    page = SWEEPS.read()
    return {**given, "low": number(page.low.get(item, low)), "high": number(page.high.get(item, high))}


def _extend(sweep: SweepRecord, space: dict[str, Any]) -> None:
    page, spec = SWEEPS.read(), sweep.asked
    try:
        wanted = read_space(space)
        lab = get_lab()
        lab.sweeps.extend(
            sweep.id,
            trials=page.more_trials or None if spec.trials else None,
            minutes=page.more_minutes or None if spec.minutes else None,
            space=wanted if wanted != spec.space else None,
        )
        lab.workers.ensure()
    except LabError as error:
        flash(str(error))
    else:
        close_popover(_BOX)


def _adopt(sweep: SweepRecord) -> None:
    try:
        _, count = get_lab().sweeps.adopt(sweep.id)
    except LabError as error:
        flash(str(error))
        return
    flash(f"{plural(count, 'run')} adopted as history." if count else "No other run has matching settings and results.")
    close_popover(_BOX)
