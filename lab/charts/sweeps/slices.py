"""Slice plots: the result of each trial against one setting."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lab.charts.parallel import LOG_FROM
from lab.charts.ranges import log_ticks
from lab.charts.style import GREY, layout, plain_text
from lab.charts.sweeps.scores import Score, objective_title, shade_numbers, shaded_markers, value_axis
from lab.config import FIELDS
from lab.sharing.comparison import setting_text, setting_words
from lab.sweeps.space import Parameter
from lab.sweeps.spec import SweepSpec

_PADDING = 0.04  # share of an axis beyond its outermost values


class Scale(NamedTuple):
    """The axis of one parameter: names at equal spacing if there are any, else numbers or their logarithms."""

    parameter: Parameter
    names: tuple[str, ...]
    log: bool

    def place(self, value: Any) -> float:
        """Return the position of a value."""
        if self.names:
            return float(self.names.index(str(setting_text(value))))
        return math.log10(value) if self.log else float(value)

    def axis(self, places: Sequence[float]) -> dict[str, Any]:
        """Return Plotly's settings of the axis, for values at these positions."""
        title = {"text": self.parameter.spec.label}
        if self.names:
            places_of_names = list(range(len(self.names)))
            texts = [plain_text(self.parameter.spec.choice_title(name)) for name in self.names]
            return {"title": title, "tickvals": places_of_names, "ticktext": texts, "range": [-0.5, len(texts) - 0.5]}
        low, high = min(places), max(places)
        room = (high - low) * _PADDING or 0.5
        described: dict[str, Any] = {"title": title, "range": [low - room, high + room]}
        if self.parameter.values:
            values = [value for value in self.parameter.values if not self.log or value > 0]
            described |= {
                "tickvals": [self.place(value) for value in values],
                "ticktext": [self.parameter.spec.number_text(value) for value in values],
            }
        elif self.log:
            ticks = log_ticks(low, high)
            described |= {"tickvals": [self.place(tick) for tick in ticks], "ticktext": [f"{tick:g}" for tick in ticks]}
        return described


def scale_of(parameter: Parameter, scores: Sequence[Score]) -> Scale:
    """Return the scale that fits a parameter's values, including those of earlier spaces."""
    values = [score.trial.params[parameter.name] for score in scores if parameter.name in score.trial.params]
    if parameter.spec.kind in (int, float):
        positive = [value for value in values if value > 0]
        all_positive = bool(positive) and len(positive) == len(values)
        wide = all_positive and max(positive) / min(positive) >= (4 if parameter.values else LOG_FROM)
        return Scale(parameter, (), all_positive and (parameter.log or wide))
    order = {str(setting_text(value)): None for value in (*parameter.values, *values)}
    return Scale(parameter, tuple(order), False)


def slice_figure(scores: Sequence[Score], parameter: Parameter, spec: SweepSpec, *, dark: bool = False) -> go.Figure:
    """Draw the result of each trial against one setting, the best trials in the strongest colour."""
    scale = scale_of(parameter, scores)
    shown = [
        (score, number)
        for score, number in zip(scores, shade_numbers(scores), strict=True)
        if score.finite and parameter.name in score.trial.params
    ]
    figure = go.Figure()
    places = [scale.place(score.trial.params[parameter.name]) for score, _ in shown]
    figure.add_scatter(
        x=np.array(places),
        y=np.array([score.value for score, _ in shown]),
        mode="markers",
        marker={
            "size": 8,
            **shaded_markers([number for _, number in shown], dark=dark),
            "line": {"width": 1, "color": GREY},
        },
        text=[hover_text(score, parameter.name) for score, _ in shown],
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_layout(
        layout(
            height=270,
            dark=dark,
            showlegend=False,
            hovermode="closest",
            margin={"t": 12},
            xaxis=scale.axis(places) if places else {"title": {"text": parameter.spec.label}},
            yaxis={"title": {"text": objective_title(spec)}, **value_axis(score.value for score, _ in shown)},
        )
    )
    return figure


def hover_text(score: Score, *names: str) -> str:
    """Return the hover text of a trial: its number, the named settings, and its result."""
    parts = [f"{FIELDS[name].short_label} {setting_words(name, score.trial.params[name])}" for name in names]
    return plain_text(f"trial {score.trial.number}: {', '.join(parts)} → {score.value:.4g}")
