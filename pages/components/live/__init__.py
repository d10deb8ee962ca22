"""The live view of a run: one Streamlit component that polls our route and extends its charts in place.

`st.plotly_chart` is removed and inserted again whenever its data change, which flickers and loses the zoom. This
component keeps its Plotly figures over updates, reruns and theme changes. Text from users reaches it as data and is
only written as text.
"""

from typing import Any

import plotly

from lab.charts.data_url import png_url
from lab.charts.live import live_list
from lab.charts.live_facts import live_facts, run_marks
from lab.charts.smoothing import SPANS, USUAL_SPAN
from lab.charts.style import GREY
from lab.metrics import BATCH_LOSS, LEARNING_RATE
from lab.runs.records import RunRecord
from lab.training.schedules import is_constant
from pages.cache.datasets import Samples
from pages.components.base import component, nothing
from pages.state.keys import element

PLOTLY_ADDRESS = f"/assets/plotly.min.js?v={plotly.__version__}"


def live_run(run: RunRecord, *, samples: Samples | None = None, baseline: str = "") -> None:
    """Show a run's progress and curves; the page reruns when its state, notices or findings change.

    samples: the watched test images, None if they are not on this machine. baseline: id of the run whose curves are
    drawn in grey behind its own, "" for none.
    """
    component("live", isolate_styles=False)(
        key=element("live", run.id),
        data={
            **run_marks(run),
            "epochs": run.config.epochs,
            **chart_data(),
            "constant": is_constant(run.config),
            "forked": run.config.fork_epoch,
            "baseline": baseline,
            "samples": samples and _listed(samples),
            "facts": live_facts(run, {}),
        },
        on_changed_change=nothing,
    )


def chart_data() -> dict[str, Any]:
    """Return what the charts need: their list, the series of steps and of the rate, the smoothing, and a fork's grey."""
    return {
        "charts": live_list(),
        "steps": BATCH_LOSS.id,
        "rate": {"chart": LEARNING_RATE.chart_id, "series": LEARNING_RATE.id},
        "spans": list(SPANS),
        "span": USUAL_SPAN,
        "plotly": PLOTLY_ADDRESS,
        "grey": GREY,
    }


def _listed(samples: Samples) -> dict[str, Any]:
    pairs = zip(samples.pictures, samples.labels, strict=True)
    return {
        "classes": list(samples.class_names),
        "images": [{"src": png_url(picture), "class": label} for picture, label in pairs],
    }
