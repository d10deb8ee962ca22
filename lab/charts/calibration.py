"""Calibration (reliability diagram): accuracy over confidence. Empty bins are left out."""

import numpy as np
import plotly.graph_objects as go

from lab.charts.style import layout, plain_text
from lab.formatting import format_percent, plural


def calibration_figure(
    confidence: np.ndarray, accuracy: np.ndarray, count: np.ndarray, *, dark: bool = False
) -> go.Figure:
    """Return the reliability diagram: one point per bin, whose area grows with the number of images in it.

    The arrays have one entry per bin, as in `Calibration`.
    """
    full = count > 0
    share = count[full] / max(1, count.sum())
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#8a94a3"}, hoverinfo="skip", showlegend=False
    )
    figure.add_scatter(
        x=confidence[full],
        y=accuracy[full],
        mode="lines+markers",
        showlegend=False,
        cliponaxis=False,
        line={"color": "#2f86cf"},
        marker={"size": 7 + 26 * np.sqrt(share), "opacity": 0.75},
        customdata=count[full],
        text=[_hover_text(*point) for point in zip(confidence[full], accuracy[full], count[full], strict=True)],
        hovertemplate="%{text}<extra></extra>",
    )
    axis = {"range": [-0.02, 1.04], "tickformat": ".0%", "dtick": 0.2}
    figure.update_layout(
        layout(
            height=330,
            dark=dark,
            margin={"l": 10, "r": 20, "t": 24, "b": 10},
            xaxis={"title": {"text": "confidence"}, **axis},
            yaxis={"title": {"text": "accuracy"}, **axis},
        )
    )
    return figure


def _hover_text(confidence: float, accuracy: float, count: int) -> str:
    sure_text, right_text = (format_percent(float(share), digits=1) for share in (confidence, accuracy))
    return f"{plain_text(f'confidence {sure_text}, accuracy {right_text}')}<br>{plural(int(count), 'image')}"
