"""Findings on a page: the message by severity, and the button that puts the remedy into the Train form."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import streamlit as st

from lab.config import FIELDS, RunConfig
from lab.findings import Finding
from pages.markdown import plain
from pages.state.keys import element

_ICONS = {"mistake": ":material/error:", "warning": ":material/warning:", "hint": ":material/lightbulb:"}


def show_finding(finding: Finding) -> None:
    """Show one finding as an error, a warning or an info box, by its severity."""
    show = st.error if finding.severity == "mistake" else st.warning if finding.severity == "warning" else st.info
    show(plain(finding.message), icon=_ICONS[finding.severity])


def remedy_words(remedy: Mapping[str, Any]) -> str:
    """Return the changed settings with the form's labels, such as "learning rate 0.001"."""
    return ", ".join(_words(name, value) for name, value in remedy.items())


def _words(name: str, value: Any) -> str:
    label = FIELDS[name].label.lower()
    if isinstance(value, dict):
        return ", ".join(f"{option} {item}" for option, item in value.items())
    if isinstance(value, bool):
        return label if value else f"no {label}"
    text = FIELDS[name].number_text(value) if isinstance(value, float) else FIELDS[name].choice_title(str(value))
    return f"{label} {text}"


def show_run_findings(
    config: RunConfig, findings: Iterable[Finding], *, train_again: Callable[[RunConfig], None]
) -> None:
    """Show findings of a run. The button of one with a remedy calls `train_again` with the corrected settings."""
    for finding in findings:
        with st.container(gap="small"):
            show_finding(finding)
            if not finding.remedy:
                continue
            label = f"Train again with {remedy_words(finding.remedy)}"
            if st.button(label, icon=":material/refresh:", key=element("remedy", finding.code), help=_HELP):
                train_again(config.replace(**finding.remedy))


_HELP = "Fills in the Train form with this run's settings and this change. Nothing is started yet."
