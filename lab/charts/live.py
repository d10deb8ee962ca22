"""The payload of a live chart: the newest part of a run's curves as strict JSON values, and the reader's new position.

The position (`since`) is opaque to the reader: the run's lease and one `Cursor` per series. A resumed run has a new
lease and may rewrite steps, so its readers are sent everything again. JSON has no NaN and no infinity: a non-finite
value is sent as null in `value` (a gap) and by name in `non_finite` (a marker). The ends of the axes and the values
beyond them are determined here, for both themes and all settings, by the rule in `ranges.py`, as for comparisons.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from lab.charts.ranges import Excursion, Limits, axis_range, excursions, leaving_words, share_limits, sound_limits
from lab.charts.rates import recorded_by_epoch
from lab.charts.thinning import START, Cursor, Thinned, thin, unknown_position
from lab.formatting import format_short
from lab.metric_charts import ChartSpec, list_charts
from lab.metrics import BATCH_LOSS, LEARNING_RATE, MetricSpec, format_metric, metric_title
from lab.runs.records import Series
from lab.strict_json import number_name

_DIGITS = 6  # significant digits of a value: a chart shows three
_LEASE = re.compile(r"[0-9]{1,15}")  # str.isdigit also accepts "²", which int() rejects


def live_charts() -> tuple[ChartSpec, ...]:
    """Return the charts of the live view in their order."""
    return tuple(chart for chart in list_charts().values() if chart.live)


def series_groups() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the live view's series: those recorded at every batch, and those recorded at evaluations."""
    charts = live_charts()
    dense = tuple(chart.dense.id for chart in charts if chart.dense)
    return dense, tuple(metric.id for chart in charts for metric in chart.sparse)


def live_series() -> tuple[str, ...]:
    """Return the names of all series of the live view."""
    dense, sparse = series_groups()
    return dense + sparse


def live_list() -> list[dict[str, Any]]:
    """Return the charts of the live view and their metrics as JSON values, for its JavaScript."""
    return [
        {
            "id": chart.id,
            "title": chart.title,
            "quantity": chart.quantity.title,
            "share": chart.quantity.is_share,
            "log": chart.quantity.unbounded,
            "hover": chart.quantity.hover,
            "dense": chart.dense and _listed(chart.dense),
            "points": [_listed(metric) for metric in chart.sparse],
        }
        for chart in live_charts()
    ]


def _listed(metric: MetricSpec) -> dict[str, str]:
    return {
        "id": metric.id,
        "title": metric.title,
        "split": metric.split.value,
        "label": metric.split.label or metric.quantity.title,
    }


def live_payload(points: Mapping[str, Series], *, since: str, lease: int, complete: bool) -> dict[str, Any]:
    """Return `{"since", "replace", "total", "series", "newest", "charts", "remarks"}` for a reader at `since`.

    since: the reader's position; "" for a new reader. `series` has only the new points; with `replace` the reader
    discards all it has. `total` counts the steps of the run. `newest` has each series' last step and its value as text.
    `charts` and `remarks` (see `_chart` and `_notes`) depend on every point, so they are sent only with new points.
    Raises `InputError` if this function did not issue `since`.
    """
    known = _read_position(since, lease=lease)
    present = {name: points[name] for name in live_series() if name in points and len(points[name].step)}
    parts = {name: thin(series, known.get(name, START), complete=complete) for name, series in present.items()}
    replace = not known or any(again for _, again in parts.values())
    if replace:
        parts = {name: thin(series, complete=complete) for name, series in present.items()}
    loss = points.get(BATCH_LOSS.id)
    series = {name: _values(part) for name, (part, _) in parts.items() if len(part.step) or replace}
    looks: dict[str, Any] = {}
    if series or replace:
        looks = {"charts": {chart.id: _chart(present, chart) for chart in live_charts()}, "remarks": _notes(present)}
    return {
        "since": _write_position(parts, lease=lease),
        "replace": replace,
        "total": 0 if loss is None else len(loss.step),
        "series": series,
        "newest": {name: _newest(series) for name, series in present.items()},
        **looks,
    }


def _newest(series: Series) -> list[Any]:
    """Return the last step and its value as display text."""
    value = float(series.value[-1])
    text = format_metric(series.name, value) if math.isfinite(value) else number_name(value)
    return [int(series.step[-1]), text]


def _limits(points: Mapping[str, Series], chart: ChartSpec) -> Limits | None:
    values = [points[metric.id].value for metric in chart.sparse if metric.id in points]
    raw = [points[chart.dense.id].value] if chart.dense and chart.dense.id in points else []
    if chart.quantity.is_share:
        return share_limits([*values, *raw])
    return sound_limits(values, raw) if chart.quantity.unbounded else None


def _present(points: Mapping[str, Series], chart: ChartSpec) -> list[str]:
    return [metric.id for metric in chart.metrics if metric.id in points]


def _chart(points: Mapping[str, Series], chart: ChartSpec) -> dict[str, Any]:
    """Return marks and the ends of the y axis (`range`, `log_range` in powers of ten; None if all values are shown).

    `beyond`: where values leave that axis; `below`: where values of 0 or less leave a logarithmic axis. Each mark has
    the series, step, seconds, formatted value and whether it is above the axis.
    """
    limits, names = _limits(points, chart), _present(points, chart)
    values = [points[name].value for name in names]
    positive = [float(v[np.isfinite(v) & (v > 0)].min(initial=np.inf)) for v in values]
    lowest = min([p for p in positive if math.isfinite(p)], default=1.0)
    return {
        "range": limits and axis_range(limits, lowest, log=False),
        "log_range": limits and axis_range(limits, lowest, log=True),
        "beyond": [_mark(points[n], one) for n in names for one in excursions(points[n].value, limits)],
        "below": [_mark(points[n], one) for n in names for one in excursions(points[n].value, None, log=True)],
    }


def _mark(series: Series, one: Excursion) -> list[Any]:
    step, time_s = int(series.step[one.at]), _times(series.time_s[one.at : one.at + 1])[0]
    return [series.name, step, time_s, format_short(one.value), one.above]


def _times(seconds: np.ndarray) -> list[float | None]:
    return json_numbers(np.round(seconds, 3))


def _notes(points: Mapping[str, Series]) -> dict[str, str]:
    """Return notes on what the charts leave out, by the setting responsible; "" if nothing is left out."""
    leaving = [text for chart in live_charts() if (text := _leaving(points, chart))]
    start = {n: s for n, s in points.items() if s.step[0] == 0}
    timeless = {n: s for n, s in start.items() if not s.time_s[0] > 0}  # the others have a place on a time axis
    logarithmic = [name for chart in live_charts() if chart.quantity.unbounded for name in _present(points, chart)]
    below = [metric_title(name) for name in logarithmic if excursions(points[name].value, None, log=True)]
    rates = points.get(LEARNING_RATE.id)
    return {
        "range": " ".join(leaving),
        "log_x": _not_on_log_axis(start),
        "log_time": _not_on_log_axis(timeless),
        "log_y": f"Values of 0 or less ({', '.join(below)}) are not on a logarithmic axis." if below else "",
        LEARNING_RATE.chart_id: (
            "The learning rate was recorded once per epoch, so the schedule between these points is not shown."
        )
        if rates is not None and recorded_by_epoch(rates)
        else "",
    }


def _not_on_log_axis(start: Mapping[str, Series]) -> str:
    """Return a sentence on the values at step 0, which a logarithmic x axis cannot show; "" for none."""
    values = [f"{metric_title(name)} {format_metric(name, s.value[0], digits=1)}" for name, s in start.items()]
    return f"Step 0 ({', '.join(values)}) is not on a logarithmic axis." if values else ""


def _leaving(points: Mapping[str, Series], chart: ChartSpec) -> str:
    """Return a sentence on the curve that leaves a chart first: where, and how far it goes; "" for none."""
    limits = _limits(points, chart)
    found = [(n, one) for n in _present(points, chart) for one in excursions(points[n].value, limits)]
    if not found:
        return ""
    name, first = min(found, key=lambda item: points[item[0]].step[item[1].at])
    own = [one for of, one in found if of == name]
    return f"The {metric_title(name)} {leaving_words(own, f'step {points[name].step[first.at]:,}')}."


def _read_position(since: str, *, lease: int) -> dict[str, Cursor]:
    if not since:
        return {}
    owner, *cursors = since.split("_")
    if not _LEASE.fullmatch(owner) or len(cursors) != len(live_series()):
        raise unknown_position(since)
    known = dict(zip(live_series(), map(Cursor.parse, cursors)))
    return known if int(owner) == lease else {}


def _write_position(parts: Mapping[str, tuple[Thinned, bool]], *, lease: int) -> str:
    cursors = [Cursor(parts[n][0].width, parts[n][0].until) if n in parts else START for n in live_series()]
    return "_".join([str(lease), *(cursor.text() for cursor in cursors)])


def _values(part: Thinned) -> dict[str, Any]:
    non_finite = ~np.isfinite(part.value)
    values: dict[str, Any] = {
        "step": part.step.tolist(),
        "value": json_numbers(part.value),
        "time": _times(part.time_s),
        "width": part.width,
    }
    if non_finite.any():
        times = _times(part.time_s[non_finite])
        values["non_finite"] = [
            [int(s), number_name(v), t] for s, v, t in zip(part.step[non_finite], part.value[non_finite], times)
        ]
    if part.width > 1:  # at width 1 the points are their own means
        values["mean"] = {
            "step": json_numbers(part.mean_step),
            "value": json_numbers(part.mean),
            "time": _times(part.mean_time_s),
        }
    return values


def json_numbers(values: np.ndarray) -> list[float | None]:
    """Return values with six significant digits, None for non-finite ones."""
    return [float(f"{v:.{_DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]
