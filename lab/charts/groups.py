"""Runs grouped by one setting: the mean and standard deviation of their results, as a table and as bars."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from lab.charts.ranges import MARGIN, Limits, sound_limits
from lab.charts.style import layout, plain_text, run_style, tick_lines
from lab.config import FIELDS
from lab.errors import InputError, near_miss
from lab.formatting import format_short
from lab.metrics import format_metric, is_share, is_unbounded
from lab.runs.records import RunRecord
from lab.runs.repeated import are_folds
from lab.sharing.comparison import list_results, result_of, setting_cells
from lab.spread import Spread, spread_of

_TICK_LINE_PX, _TICK_LINE_SHARE = 14, 0.055  # height of a line of a tick's label, in pixels and of the plotted area


class Group(NamedTuple):
    """The runs that share a value of the setting. results: by key of `list_results()`, of the runs that have ended."""

    value: str
    runs: tuple[RunRecord, ...]
    results: dict[str, Spread | None]


def group_info(runs: Sequence[RunRecord], by: str) -> tuple[Group, ...]:
    """Return the runs grouped by one setting, in the order of its values. Raises `InputError` if it is unknown."""
    if by not in FIELDS:
        raise InputError(f"Runs cannot be grouped by {by!r}. {near_miss(by, FIELDS)}")
    values: dict[str, tuple[Any, list[RunRecord]]] = {}
    for run, value in zip(runs, setting_cells(runs, by), strict=True):
        values.setdefault(str(value), (value, []))[1].append(run)
    ordered = sorted(values.values(), key=lambda group: _place(by, group[0]))
    return tuple(
        Group(
            value=_shown(by, value) or "–",
            runs=tuple(members),
            results={
                key: spread_of((_ended(run, key) for run in members), folds=are_folds(members))
                for key in list_results()
            },
        )
        for value, members in ordered
    )


def _place(by: str, value: Any) -> tuple[bool, Any]:
    """Return the sort key of a setting's value: numbers before texts, no limit after every limit."""
    return isinstance(value, str), math.inf if FIELDS[by].unlimited and value == 0 else value


def _shown(by: str, value: Any) -> str:
    """Return a value as display text that no other value has: with all its digits, or its title, such as "all"."""
    text = f"{value:.15g}" if isinstance(value, float) else str(value)
    return FIELDS[by].choice_title(text)


def _ended(run: RunRecord, key: str) -> Any:
    """Return a result of a run that has ended, else None: early results of a running one would distort the mean."""
    return None if run.state.live else result_of(run, key)


def bar_limits(groups: Sequence[Group], result: str) -> Limits | None:
    """Return the values at which bars are cut so that a diverged group does not flatten the others; None for no cut."""
    spreads = [spread for group in groups if (spread := group.results.get(result)) is not None]
    limits = sound_limits([np.array([spread.mean]) for spread in spreads]) if is_unbounded(result) else None
    return None if limits is None else Limits(limits.low * (1 + MARGIN), limits.high * (1 + MARGIN))


def _beyond(groups: Sequence[Group], result: str) -> list[tuple[Group, float, float]]:
    """Return the groups whose bars are cut, each with its mean and the edge of the axis."""
    limits = bar_limits(groups, result)
    if limits is None:
        return []
    means = [(group, spread.mean) for group in groups if (spread := group.results.get(result)) is not None]
    return [
        (g, mean, limits.high if mean > 0 else limits.low) for g, mean in means if not limits.low <= mean <= limits.high
    ]


def cut_note(groups: Sequence[Group], result: str) -> str:
    """Return a sentence that lists the bars cut at the axis with their true values; "" for none."""
    parts = [f"{group.value} ({format_short(mean)})" for group, mean, _ in _beyond(groups, result)]
    return f"Beyond the axis: {', '.join(parts)}." if parts else ""


def group_figure(groups: Sequence[Group], result: str, *, by: str, dark: bool = False) -> go.Figure:
    """Draw one bar per value with its standard deviation (from three runs on) and the individual runs as points."""
    figure = go.Figure()
    _add_means(figure, groups, result, dark=dark)
    singles = [
        (group.value, value)
        for group in groups
        if group.results.get(result) is not None
        for run in group.runs
        if (value := _ended(run, result)) is not None
    ]
    _add_singles(figure, singles, dark=dark)
    _add_beyond(figure, _beyond(groups, result), dark=dark)
    numbers = [number for _, number in singles if isinstance(number, (int, float)) and math.isfinite(number)]
    cut, limits = _range(numbers, share=is_share(result)), bar_limits(groups, result)
    ticks = [tick_lines(group.value) for group in groups]
    more = max((text.count("<br>") for text in ticks), default=0)  # lines beyond the first
    figure.update_layout(
        layout(
            height=360 + _TICK_LINE_PX * more,
            dark=dark,
            title={
                "text": f"{list_results()[result].capitalize()} by {FIELDS[by].label.lower()}",
                "font": {"size": 15},
                "x": 0,
                "xref": "paper",
            },
            xaxis={"type": "category", "showgrid": False, "title": {"text": FIELDS[by].label}},
            yaxis={
                "tickformat": "~%" if is_share(result) else None,
                "range": cut or (limits and list(limits)),
                "title": {"text": "the axis does not start at 0" if cut else None, "font": {"size": 11}},
            },
        )
    )
    if more:  # Plotly would rotate long labels, on a phone over the legend
        values = [plain_text(group.value) for group in groups]
        figure.update_xaxes(tickvals=values, ticktext=ticks, tickangle=0)
        figure.update_layout(legend={"y": figure.layout.legend.y - _TICK_LINE_SHARE * more})
    return figure


def _add_means(figure: go.Figure, groups: Sequence[Group], result: str, *, dark: bool) -> None:
    shown = [(group, spread) for group in groups if (spread := group.results.get(result)) is not None]
    style = run_style(0, dark=dark)
    figure.add_bar(
        x=[plain_text(group.value) for group, _ in shown],
        y=[spread.mean for _, spread in shown],
        error_y={"type": "data", "array": [spread.shown_sd or 0.0 for _, spread in shown], "thickness": 1.5},
        marker={"color": style.shade(0.55), "line": {"color": style.colour, "width": 1}},
        text=[f"{format_metric(result, s.mean)} (n = {s.n})" for _, s in shown],
        textposition="none",
        hovertemplate="%{x}: %{text}<extra></extra>",
        name="mean",
        width=0.4,
    )


def _add_singles(figure: go.Figure, singles: Sequence[tuple[str, Any]], *, dark: bool) -> None:
    figure.add_scatter(
        x=[plain_text(value) for value, _ in singles],
        y=[number for _, number in singles],
        mode="markers",
        marker={"color": run_style(1, dark=dark).colour, "size": 7, "symbol": "circle-open", "line": {"width": 2}},
        hoverinfo="skip",
        name="individual runs",
    )


def _add_beyond(figure: go.Figure, beyond: Sequence[tuple[Group, float, float]], *, dark: bool) -> None:
    """Mark the bars that are cut at an edge of the axis with their true means."""
    figure.add_scatter(
        x=[plain_text(group.value) for group, _, _ in beyond],
        y=[0.97 * edge for _, _, edge in beyond],
        mode="markers+text",
        marker={
            "color": run_style(0, dark=dark).colour,
            "size": 11,
            "symbol": ["triangle-up" if mean > 0 else "triangle-down" for _, mean, _ in beyond],
        },
        text=[format_short(mean) for _, mean, _ in beyond],
        textposition="middle right",
        hoverinfo="skip",
        name="beyond the axis",
        showlegend=bool(beyond),
        cliponaxis=False,
    )


def _range(values: Sequence[float], *, share: bool) -> list[float] | None:
    """Return an axis range that separates accuracies above one half; None for an axis that starts at zero."""
    if not share or not values or min(values) < 0.5:
        return None
    padding = max(0.002, (max(values) - min(values)) * 0.6)
    return [max(0.0, min(values) - padding), min(1.0, max(values) + padding)]
