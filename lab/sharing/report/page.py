"""Renders the report. The template escapes user input; figures are embedded as JSON that browsers do not execute.

The file has its own Content-Security-Policy: nothing is fetched, and only the two scripts whose SHA-256 it lists may
run (Plotly and `draw.js`). Inline styles are allowed because Plotly needs them.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cache, partial
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lab import __version__
from lab.architectures.registry import get_architecture
from lab.charts.lines import RunCurves
from lab.charts.overlay import OverlayOptions, line_slots, overlay_info
from lab.charts.overlay_figure import line_key, overlay_alt_text, overlay_figure
from lab.charts.style import run_style, swatch
from lab.config import FIELDS
from lab.data.registry import get_dataset_spec
from lab.formatting import format_duration, format_moment, format_percent
from lab.metric_charts import list_charts
from lab.runs.records import RunRecord
from lab.sharing.comparison import EPOCH, Table, comparison_table, heading, run_labels, setting_words
from lab.sharing.report.gather import Examination, examine_run
from lab.sharing.source import Source
from lab.sharing.tables import number_columns, shown

EXAMINE_S = 40.0  # time budget for the test images of all runs together


@dataclass(frozen=True, slots=True)
class _Figure:
    id: str
    alt_text: str
    caption: str
    notes: tuple[str, ...]
    json: Markup


@dataclass(frozen=True, slots=True)
class _Table:
    """Display texts, one row per run. numbers: which columns hold numbers."""

    title: str
    columns: tuple[str, ...]
    numbers: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Run:
    run: RunRecord
    label: str
    swatch: Markup  # its line in the charts; empty in a report on one run
    network: str
    dataset: str
    changed: tuple[tuple[str, Any], ...]
    settings: tuple[tuple[str, Any], ...]
    environment: tuple[tuple[str, Any], ...]
    examined: Examination


def write_report(source: Source, runs: Sequence[RunRecord], *, examine_s: float = EXAMINE_S) -> str:
    """Return one HTML document on these runs, about 5 MB because it embeds Plotly.

    examine_s: time budget in seconds for evaluation on test images, for all runs together.
    """
    curves = [RunCurves(run, source.store.points.read(run.id)) for run in runs]
    labels, swatches = run_labels(runs), _swatches(runs)
    return _template().render(
        title=labels[0] if len(runs) == 1 else f"{len(runs)} runs compared",
        version=__version__,
        written=format_moment(time.time(), UTC),
        policy=_policy(),
        tables=_tables(runs),
        figures=_figures(curves),
        swatches=swatches,
        runs=[
            _described(source, run, label=label, swatch=line, examine_s=examine_s / len(runs))
            for run, label, line in zip(runs, labels, swatches, strict=True)
        ],
        plotly=Markup(get_plotlyjs()),  # noqa: S704  Plotly's source, not user input
        drawing=Markup(_drawing()),  # noqa: S704  our own script
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "shown": shown,
        "percent": format_percent,
        "defined": lambda share: format_percent(share) if share == share else "–",  # NaN if undefined
        "moment": partial(format_moment, zone=UTC),
        "duration": format_duration,
    }
    text = (resources.files("lab.sharing.report") / "report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(text)


@cache
def _drawing() -> str:
    return (resources.files("lab.sharing.report") / "draw.js").read_text(encoding="utf-8")


@cache
def _policy() -> str:
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in (get_plotlyjs(), _drawing()))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _tables(runs: Sequence[RunRecord]) -> list[_Table]:
    """Return the results and, for several runs, a second table of what they are and where they differ."""
    table = comparison_table(runs)
    first = table.columns.index(EPOCH)
    results = _part("Results", table, [0, *range(first, len(table.columns))])
    return [results] if len(runs) == 1 else [results, _part("Runs and settings that differ", table, range(first))]


def _part(title: str, table: Table, places: Iterable[int]) -> _Table:
    places = tuple(places)
    columns, numbers = tuple(table.columns[at] for at in places), number_columns(table)
    rows = (tuple(shown(row[at], column=table.columns[at]) for at in places) for row in table.rows)
    heads = tuple(map(heading, columns))
    return _Table(title, heads, tuple(numbers[at] for at in places), tuple(rows))


def _swatches(runs: Sequence[RunRecord]) -> list[Markup]:
    """Return each run's line style as an SVG; empty for a single run."""
    if len(runs) == 1:
        return [Markup("")]
    slots = line_slots(runs, {}, fold=True)
    return [Markup(swatch(run_style(slots[run.id], dark=False))) for run in runs]  # noqa: S704  no user input


def _figures(curves: Sequence[RunCurves]) -> list[_Figure]:
    """Return the figures of all report charts with a line; a constant learning rate, for example, has none."""
    found = []
    for chart in list_charts().values():
        if not chart.report:
            continue
        info = overlay_info(curves, OverlayOptions(metric=chart.id, test=True))
        if not info.lines:
            continue
        figure = overlay_figure(info, switch=True)
        points = f"{info.shown:,} points of {info.total:,}" if info.shown < info.total else f"{info.total:,} points"
        caption = f"{line_key(info)} {points}.".strip()
        found.append(
            _Figure(f"figure-{chart.id}", overlay_alt_text(info), caption, info.notes, _data(figure.to_json()))
        )
    return found


def _data(text: str) -> Markup:
    """Return JSON that is safe inside a script element: nothing in it can close the element."""
    strict = json.dumps(json.loads(text), allow_nan=False)
    safe = strict.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(safe)  # noqa: S704  all HTML special characters have been replaced


def _described(source: Source, run: RunRecord, *, label: str, swatch: Markup, examine_s: float) -> _Run:
    arch, spec = get_architecture(run.config.arch), get_dataset_spec(run.config.dataset)
    return _Run(
        run=run,
        label=label,
        swatch=swatch,
        network=f"{arch.title} ({arch.id}): {arch.description} Source: {arch.source}.",
        dataset=f"{spec.title}: {spec.description}",
        changed=tuple((FIELDS[name].label, setting_words(name, value)) for name, value in run.config.changed().items()),
        settings=tuple((name, setting_words(name, getattr(run.config, name))) for name in FIELDS),
        environment=tuple((name.replace("_", " "), _fact(value)) for name, value in run.environment.as_dict().items()),
        examined=examine_run(source, run, budget_s=examine_s),
    )


def _fact(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
