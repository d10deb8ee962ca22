"""A finished figure, updated in place, with tools that save it."""

import plotly.graph_objects as go

from pages.components.base import component
from pages.components.live import PLOTLY_ADDRESS


def plot(
    key: str,
    figure: go.Figure,
    *,
    words: str,
    name: str,
    revision: str = "same",
    linked: str = "",
    narrow: go.Figure | None = None,
    narrow_below: int = 0,
) -> None:
    """Show a finished figure in place, with tools that save it as PNG and SVG under `name`.

    words: description for screen readers. revision: the zoom is kept while it does not change. linked: group of charts
    that show a common hover position. narrow: figure shown instead if the width is below `narrow_below` pixels, such as
    on a phone.
    """
    for each in (figure, narrow):
        if each is not None:
            each.update_layout(template="none")
    component("plot", isolate_styles=False)(
        key=key,
        data={
            "figure": figure.to_json(),
            "height": figure.layout.height,
            "narrow": None
            if narrow is None
            else {"figure": narrow.to_json(), "height": narrow.layout.height, "below": narrow_below},
            "words": words,
            "filename": name,
            "revision": revision,
            "linked": linked,
            "plotly": PLOTLY_ADDRESS,
        },
    )
