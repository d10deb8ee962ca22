"""The live view of a run: one Streamlit component that polls our route and grows its charts in place.

`st.plotly_chart` is taken out and put back whenever its data change, which blinks and loses the zoom. This component
keeps its Plotly figures over updates, reruns and theme changes; user text reaches it as data and is written as text
only.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import plotly
import streamlit as st

from lab.runs.records import RunRecord
from lab.training.schedules import is_constant
from pages.state.keys import element

PLOTLY_ADDRESS = f"/assets/plotly.min.js?v={plotly.__version__}"
_HERE = Path(__file__).parent
CHART_TOOLS = (_HERE / "plotly.js").read_text(encoding="utf-8")  # stands in front of every script that draws a chart


@cache
def _component() -> Any:
    def text(name: str) -> str:
        return (_HERE / name).read_text(encoding="utf-8")

    return st.components.v2.component(
        "convlab_live",
        html=text("live.html"),
        css=text("live.css"),
        js=CHART_TOOLS + text("look.js") + text("curves.js") + text("live.js"),
        isolate_styles=False,
    )


def live_run(run: RunRecord) -> None:
    """Show a run's progress and curves; the page is rerun when its state, notices or findings change."""
    _component()(
        key=element("live", run.id),
        data={
            "run": run.id,
            "state": str(run.state),
            "status": run.status,
            "live": run.state.live,
            "notices": len(run.notices),
            "findings": findings_mark(run),
            "device": run.device,
            "epochs": run.config.epochs,
            "lr": run.config.lr,
            "constant": is_constant(run.config),
            "plotly": PLOTLY_ADDRESS,
        },
        on_changed_change=_rerun,
    )


def findings_mark(run: RunRecord) -> str:
    """Return a text that differs where a run's findings differ; a hint names its epoch and need not follow every one."""
    words = [finding.code if finding.severity == "hint" else finding.message for finding in run.findings]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]


def _rerun() -> None:
    """Do nothing more: a trigger with a callback makes Streamlit run the page again."""
