"""The importance of each setting for the result, as bars. It is computed by `lab.sweeps.importance`."""

from collections.abc import Sequence

import plotly.graph_objects as go

from lab.charts.style import layout, run_style
from lab.config import FIELDS
from lab.formatting import format_percent
from lab.sweeps.records import Importance


def importance_figure(found: Sequence[Importance], *, dark: bool = False) -> go.Figure:
    """Draw one bar per setting, the most important one at the top."""
    rows = list(reversed(found))
    style = run_style(0, dark=dark)
    figure = go.Figure()
    figure.add_bar(
        x=[row.share for row in rows],
        y=[FIELDS[row.name].label for row in rows],
        orientation="h",
        marker={"color": style.shade(0.65), "line": {"color": style.colour, "width": 1}},
        text=[format_percent(row.share, digits=0) for row in rows],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    figure.update_layout(
        layout(
            height=90 + 38 * len(rows),
            dark=dark,
            margin={"t": 8, "r": 60},
            xaxis={"tickformat": ".0%", "rangemode": "tozero"},
            yaxis={"showgrid": False},
            bargap=0.35,
        )
    )
    return figure
