"""Small parts that several pages share: a run's badge and name, relative times, titles of networks and data sets."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from lab.architectures.registry import arch_title
from lab.data.load import is_present
from lab.data.registry import dataset_title, list_datasets
from lab.data.spec import DatasetSpec
from lab.examples.catalogue import is_example
from lab.findings import Outcome
from lab.formatting import format_moment
from lab.runs.records import PAUSING, SILENT, RunRecord, RunState
from lab.settings import Settings
from lab.sharing.comparison import run_labels
from pages.cache.lab import get_lab
from pages.markdown import plain, with_code
from pages.registry import page_path

# Icon and colour by state; a badge always has the word as well.
BADGES = {
    RunState.QUEUED: (":material/schedule:", "gray"),
    RunState.RUNNING: (":material/play_arrow:", "blue"),
    RunState.PAUSED: (":material/pause:", "orange"),
    RunState.STOPPING: (":material/hourglass_bottom:", "orange"),
    RunState.STOPPED: (":material/stop:", "gray"),
    RunState.FINISHED: (":material/check:", "green"),
    RunState.FAILED: (":material/error:", "red"),
    RunState.INTERRUPTED: (":material/power_off:", "red"),
}
# For a run that finished without having learned, instead of the green badge.
OUTCOME_BADGES = {
    Outcome.DIVERGED: (":material/trending_up:", "red"),
    Outcome.AT_CHANCE: (":material/casino:", "orange"),
}
PAUSING_BADGE = BADGES[RunState.STOPPING]
SILENT_BADGE = (":material/sensors_off:", "red")
STATUS_COLORS = {str(word): color for word, (_, color) in (BADGES | OUTCOME_BADGES).items()} | {
    PAUSING: PAUSING_BADGE[1],
    SILENT: SILENT_BADGE[1],
}
UNREADABLE = "unreadable"  # in place of a state
_CHIP_PX, _LETTER_PX = 28, 7  # padding of a chip, and width of one letter, rounded up
REFRESH_S = 2.0  # interval at which a list of runs refreshes while one of them is being trained
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def state_badge(run: RunRecord, *, example: bool = True) -> None:
    """Show a run's state or outcome as a word with an icon and a colour, and whether it is an example.

    example: False omits the latter, for a list whose heading says it.
    """
    icon, color = _badge(run)
    st.badge(run.status, icon=icon, color=color)  # type: ignore[arg-type]
    if example and is_example(run.id):
        st.badge("example", icon=":material/school:", color="violet", help="This run ships with the lab.")


def _badge(run: RunRecord) -> tuple[str, str]:
    if run.silent:
        return SILENT_BADGE
    return OUTCOME_BADGES[run.outcome] if run.outcome else PAUSING_BADGE if run.pausing else BADGES[run.state]


def state_width(words: Iterable[str]) -> int:
    """Return the width in pixels of a table column in which each of these states fits as a chip."""
    return max((_CHIP_PX + _LETTER_PX * len(word) for word in words), default=_CHIP_PX)


def with_id(words: str, run_id: str, *, letters: int = 4) -> str:
    """Return words with the beginning of a run's id, to distinguish equal ones; examples have unique names."""
    return words if is_example(run_id) else f"{words} · {run_id[:letters]}"


def is_named(run: RunRecord) -> bool:
    """Whether somebody has named the run; an unnamed one has its network's id as its name."""
    return bool(run.name) and run.name != run.config.arch


def run_title(run: RunRecord) -> str:
    """Return a run's title: the name it was given, else its network and data set."""
    return run.name if is_named(run) else f"{arch_title(run.config.arch)} on {dataset_title(run.config.dataset)}"


def words_apart(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return what distinguishes each readable run of a list from the others, by id; "" if its title is enough."""
    sound = [run for run in runs if not run.problem]
    labels = zip(sound, run_labels(sound), strict=True)
    return {run.id: "" if label == run_title(run) or len(sound) < 2 else label for run, label in labels}


def local_title(spec: DatasetSpec) -> str:
    """Return the title of a data set made on this machine, with the beginning of its digest to keep titles unique."""
    return f"{spec.title} {spec.id.rpartition('-')[2][:4]}"


def present_datasets(settings: Settings) -> tuple[DatasetSpec, ...]:
    """Return the data sets whose files are on this machine."""
    return tuple(spec for spec in list_datasets() if is_present(spec.id, root=settings.data))


def format_ago(moment: float, *, now: float | None = None) -> str:
    """Return how long ago a time (seconds since the epoch) was, such as "5 min ago".

    Its date after a week, and if it is in the future.
    """
    if not math.isfinite(moment):
        return "–"
    age = (get_lab().store.now() if now is None else now) - moment
    if age < -_MINUTE_S:  # the clock was set back, or that of the machine that wrote it is ahead
        return show_moment(moment)
    for unit, size in (("d", _DAY_S), ("h", _HOUR_S), ("min", _MINUTE_S)):
        if age >= size:
            return f"{int(age // size)} {unit} ago" if age < 7 * _DAY_S else show_moment(moment)
    return "just now"


def show_moment(moment: float) -> str:
    """Return a time (seconds since the epoch) as date and time of day in the browser's time zone."""
    return format_moment(moment, browser_zone())


def browser_zone() -> tzinfo:
    """Return the time zone of the browser that shows the page."""
    return zone_of(st.context.timezone)


def zone_of(name: str | None) -> tzinfo:
    """Return the time zone that a browser names, UTC if it names none that is known here."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def run_line(run: RunRecord, *, key: str, apart: str = "") -> None:
    """Show one run in one line: link, state, accuracy and age; for one that cannot be read, the reason.

    apart: what distinguishes it from the others of a list.
    """
    if run.problem:
        with st.container(horizontal=True, vertical_alignment="center", key=key):
            st.badge(UNREADABLE, icon=":material/heart_broken:", color="red")
            st.caption(with_code(run.problem), width="stretch")
        return
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        st.page_link(page_path("train"), label=plain(run_title(run)), query_params={"run": run.id})
        state_badge(run, example=False)
        facts = [apart, *line_facts(run)]
        st.caption(plain(" · ".join(fact for fact in facts if fact)), width="content")


def line_facts(run: RunRecord) -> list[str]:
    """Return the facts after a run's state in a list: silence of its worker, progress, result, and age."""
    facts = [run.silence_text]
    if run.state.live and run.progress.total_steps:
        facts.append(f"step {run.progress.step or 0:,} of {run.progress.total_steps:,}")
    return [*facts, run.headline_text, "" if is_example(run.id) else format_ago(run.created_at)]
