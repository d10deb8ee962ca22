"""Beside the form: what the settings would cost, and which of them look like a mistake, before anything is started."""

import streamlit as st

from lab.config import RunConfig
from lab.diagnosis.rules import Finding, diagnose_config
from pages.ui import state
from pages.ui.frame import plain

_ICONS = {"mistake": ":material/error:", "warning": ":material/warning:", "hint": ":material/lightbulb:"}


def cost_card(config: RunConfig) -> None:
    """Draw the card for a configuration that can be run."""
    for finding in diagnose_config(config):
        _finding(finding)


def _finding(finding: Finding) -> None:
    show = st.error if finding.severity == "mistake" else st.warning if finding.severity == "warning" else st.info
    with st.container(gap="small"):
        show(plain(finding.message), icon=_ICONS[finding.severity])
        if finding.remedy:
            words = ", ".join(f"{name} {value}" for name, value in finding.remedy.items())
            st.button(
                f"Set {words}", key=f"remedy-{finding.code}", on_click=state.apply_changes, args=(dict(finding.remedy),)
            )
