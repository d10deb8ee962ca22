"""The reports' tables: each report's results, this lab's for the same settings, and which experiments are missing."""

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from lab.architectures.registry import get_architecture
from lab.charts.reports import ReportRow, report_rows
from lab.data.load import is_present
from lab.data.registry import dataset_title
from lab.errors import ConfigError
from lab.formatting import format_duration, format_percent, plural
from lab.presets import OWN, REPORTS
from lab.spread import format_result, format_spread
from pages.cache.lab import get_lab
from pages.cache.runs import estimate_seconds
from pages.cache.torch_import import WARMING_S, warm_torch
from pages.markdown import plain
from pages.registry import has_page, page_path
from pages.state.asking import asking_owner
from pages.state.keys import element
from pages.state.runs import RUNS, bind
from pages.state.runs_view import RunsView
from pages.state.session import flash
from pages.widgets.confirm import start_unless_long
from pages.widgets.frame import show_errors
from pages.widgets.table import sortable

_OPENED = 20  # runs that a link opens; more curves cannot be told apart
_EXPERIMENT_PX, _REPORTED_PX = 250, 190  # narrow enough that the measured results are visible next to them


def reports_view(view: RunsView) -> None:
    """Draw one report's experiments."""
    names = {report: REPORTS[OWN] if report == OWN else f"Report {report}" for report in REPORTS}
    st.segmented_control(
        "Report", list(names), format_func=names.__getitem__, required=True, **bind("report", view.report)
    )
    lab = get_lab()
    rows = report_rows(view.report, check=lambda config: lab.validation.resolve(config).config, runs=lab.store.runs)
    if view.report != OWN:
        st.header(REPORTS[view.report], anchor=False)
    st.dataframe(
        sortable([_cells(row) for row in rows]),
        hide_index=True,
        width="stretch",
        height=len(rows) * 36 + 44,
        row_height=36,
        column_config={
            "Open": st.column_config.LinkColumn(display_text="open"),
            "Experiment": st.column_config.TextColumn(width=_EXPERIMENT_PX),
            "Reported": st.column_config.TextColumn(width=_REPORTED_PX),
        },
        alt=f"{names[view.report]}: reported and measured results of {len(rows)} experiments",
    )
    st.caption(
        "**Measured** is the mean ± one standard deviation (for three or more runs) over the finished runs with "
        "exactly these settings and any seed. Accuracies are those on the test set after the last epoch, as in the "
        "reports (a different epoch is named); everywhere else, a run's result is that of its selected weights. Times "
        "are training times; the reported ones were measured on the reports' machines."
    )
    _mistakes(rows)
    _missing(view, [row for row in rows if row.missing])


def _cells(row: ReportRow) -> dict[str, Any]:
    cells = {
        "Experiment": row.preset.title,
        "Reported": _reported(row),
        "Measured": _measured(row),
        "Runs": len(row.finished) + len(row.waiting) or None,
        "Open": _runs_link(row),
        "Network": get_architecture(row.config.arch).title,
    }
    return {name: value for name, value in cells.items() if value is not None}


def _reported(row: ReportRow) -> str:
    reported = row.preset.reported
    words = []
    if reported.test_accuracy is not None:
        words.append(_quoted(row))
    if reported.last_loss is not None:
        words.append(f"loss {reported.last_loss:,g}")
    if reported.stopped_epoch is not None:
        words.append(f"stopped in epoch {reported.stopped_epoch}")
    if reported.note and not words:
        words.append(reported.note)
    if reported.seconds is not None:
        words.append(format_duration(reported.seconds))
    return ", ".join(words) or "–"


def _quoted(row: ReportRow) -> str:
    """Return the report's accuracy, with its epoch if that is not the last one."""
    every = row.preset.reported.test_accuracy_by_epoch
    quoted = format_percent(row.preset.reported.test_accuracy)
    if row.quoted_epoch in (None, len(every)):
        return quoted
    return f"{quoted} (epoch {row.quoted_epoch}), last {format_percent(every[-1])}"


def _measured(row: ReportRow) -> str:
    if not row.finished:
        return "waiting" if row.waiting else "–"
    words = [format_result("test_accuracy", row.test_accuracy)]
    if row.last_epoch and row.test_accuracy is not None and row.preset.reported.stopped_epoch is None:
        words.append(f"epoch {row.last_epoch}")
    if row.preset.reported.last_loss is not None:
        words.append("loss " + format_spread(row.last_loss, digits=3))
    if row.preset.reported.stopped_epoch is not None:
        words.append("stopped in epoch " + format_spread(row.stopped_epoch, digits=0))
    if row.seconds:
        words.append(format_duration(row.seconds.mean))
    return ", ".join(words)


def _runs_link(row: ReportRow) -> str | None:
    runs = [run.id for run in (*row.finished, *row.waiting)]
    return f"runs?runs={'.'.join(runs[:_OPENED])}" if runs else None


def _mistakes(rows: Sequence[ReportRow]) -> None:
    wrong = [row for row in rows if row.preset.mistake]
    if wrong:
        with st.expander("Mistakes reproduced on purpose", icon=":material/warning:"):
            for row in wrong:
                st.markdown(f"**{plain(row.preset.title)}.** {plain(row.preset.mistake)}")


def _missing(view: RunsView, missing: Sequence[ReportRow]) -> None:
    if not missing:
        st.success("Every experiment in this table has been run or is queued.", icon=":material/check:")
        return
    lab = get_lab()
    rows = _choose(view, missing)
    absent = sorted(
        {
            dataset_title(row.config.dataset)
            for row in missing
            if not is_present(row.config.dataset, root=lab.settings.data)
        }
    )
    if absent:
        _offer_data(absent)
    else:
        _estimate(rows)
    pressed = st.button(
        f"Queue {plural(len(rows), 'run')}" if rows else "Queue runs",
        type="primary",
        icon=":material/playlist_add:",
        key=element("runs-queue"),
        disabled=lab.settings.read_only or bool(absent) or not rows,
    )
    with show_errors():
        start_unless_long(
            f"report-{view.report}",
            pressed=pressed,
            seconds=lambda: _seconds(rows)[0],
            act=lambda: _queue(rows),
            runs=len(rows),
        )


def _choose(view: RunsView, missing: Sequence[ReportRow]) -> list[ReportRow]:
    """Draw the choice of experiments and return the chosen ones."""
    titles = {row.preset.id: row.preset.title for row in missing}
    table = f"{view.report}.{len(missing)}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Not yet run",
            list(titles),
            format_func=titles.__getitem__,
            placeholder="Choose experiments to train",
            **RUNS.widget("missing", item=table, default=()),
        )
        st.button(
            f"Choose all {len(missing)}",
            key=element("runs-missing-all"),
            icon=":material/checklist:",
            on_click=_choose_all,
            args=(table, tuple(titles)),
        )
    return [row for row in missing if row.preset.id in chosen]


def _offer_data(absent: Sequence[str]) -> None:
    st.info(
        f"Some experiments need data that is not downloaded: {', '.join(absent)}. Fetch it on the Home page.",
        icon=":material/download:",
    )
    if has_page("home"):
        st.page_link(page_path("home"), label="Go to the data sets", icon=":material/arrow_forward:")


def _choose_all(table: str, presets: tuple[str, ...]) -> None:
    RUNS.change(missing={**RUNS.read().missing, table: presets})


def _queue(rows: Sequence[ReportRow]) -> None:
    lab = get_lab()
    for row in rows:
        resolved = lab.validation.resolve(row.preset.config())
        lab.submissions.submit(resolved, name=row.preset.title, tags=row.preset.tags, owner=asking_owner())
    lab.workers.ensure()
    flash(
        "1 run is queued." if len(rows) == 1 else f"{len(rows)} runs are queued and will be trained one after another."
    )
    st.rerun()


@st.fragment(run_every=WARMING_S)
def _waiting() -> None:
    if warm_torch():
        st.rerun()
    st.caption("Estimating how long they take …")


def _estimate(rows: Sequence[ReportRow]) -> None:
    """Show how long the chosen experiments will take on this machine."""
    if not rows:
        return
    if not warm_torch():
        _waiting()
        return
    line = st.empty()
    total, unknown = _seconds(rows, lambda done: line.caption(f"Estimating how long they take … {done} of {len(rows)}"))
    line.caption(plain(estimate_words(total, unknown)))


def estimate_words(seconds: float, unknown: Sequence[str]) -> str:
    """Return how long experiments take on this machine. unknown: titles of those that cannot be estimated."""
    words = f"About {format_duration(seconds)} of training on this machine, one run after another."
    return words + (f" Not counted: {', '.join(unknown)}." if unknown else "")


def _seconds(rows: Sequence[ReportRow], show: Callable[[int], object] = int) -> tuple[float, list[str]]:
    """Return how long the experiments take in total, and the titles of those that cannot be estimated.

    show: called before each estimate with its number.
    """
    total, unknown = 0.0, []
    for done, row in enumerate(rows, start=1):
        show(done)
        try:
            total += estimate_seconds(row.config)
        except ConfigError:
            unknown.append(row.preset.title)
    return total, unknown
