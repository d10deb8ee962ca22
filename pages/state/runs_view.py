"""What the Runs page shows, as one record that stands in the address: a copied link opens the same picture.

Defaults are left out. What an address asks for and cannot have is passed over, with a sentence that says so.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from lab.charts.overlay import AXES
from lab.charts.pareto import COSTS
from lab.charts.smoothing import SPANS, USUAL_SPAN, nearest_span
from lab.charts.style import SLOTS, assign_slots
from lab.config import FIELDS
from lab.errors import InputError
from lab.examples.catalogue import ID_PREFIX
from lab.metric_charts import list_charts
from lab.presets import REPORTS
from lab.runs.query import ordering, parse_query
from lab.sharing.comparison import list_results
from lab.text import one_sentence
from pages.state.codec import PartlyWrongError, decode, one_of, param, several_of, shorten, split, switch

LOOKS = {
    "curves": "Curves",
    "differences": "Differences",
    "groups": "Groups",
    "verdict": "Is it better?",
    "parallel": "Parallel axes",
    "pareto": "Accuracy against cost",
    "tree": "From run to run",
}
SHOWS = {"runs": "Runs", "reports": "Reports"}
MOST_RUNS = SLOTS  # in one picture: more cannot be told apart, and an address has its limits
_RETIRED = ("clip",)  # in older links: leaving out what lies far beyond, which is the default now
_ID = re.compile(rf"[0-9a-f]{{4,32}}|{ID_PREFIX}[a-z]{{1,20}}")
_SLOT = re.compile(r"[0-9]{1,2}")


def search_problem(text: str) -> str:
    """Return why a search cannot be read, "" where it can."""
    try:
        parse_query(text)
    except InputError as error:
        return str(error)
    return ""


_NAMED = 5  # wrong ids that are named


def _span(text: str) -> int:
    """Read the steps of a mean, or the weight below 1 that older links have instead."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0.0 <= value < 1.0:
        return nearest_span(value)
    if value not in SPANS:
        raise ValueError(f"a number of steps out of {', '.join(map(str, SPANS))}")
    return int(value)


def _slots(text: str) -> tuple[int, ...]:
    parts = split(text)
    if len(parts) > MOST_RUNS or not all(_SLOT.fullmatch(part) and int(part) < SLOTS for part in parts):
        raise ValueError(f"numbers from 0 to {SLOTS - 1}, one for each run")
    return tuple(map(int, parts))


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise ValueError("a page number from 1")
    return int(text)


def _ids(text: str) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(split(text)))
    wrong = [shorten(one) for one in ids if not _ID.fullmatch(one)]
    right = tuple(one for one in ids if _ID.fullmatch(one))
    rule = ""
    if wrong:
        more = " and others" if len(wrong) > _NAMED else ""
        rule = f"ids of runs, and {', '.join(map(repr, wrong[:_NAMED]))}{more} cannot be one"
    elif len(ids) > MOST_RUNS:
        rule = f"at most {MOST_RUNS} ids of runs, not {len(ids)}"
    if rule and right:
        shown = "the others" if wrong else f"the first {MOST_RUNS}"
        raise PartlyWrongError(f"{rule}: {shown} are shown", right[:MOST_RUNS])
    if rule:
        raise ValueError(rule)
    return ids


def _run(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("the id of a run")
    return text


def _order(text: str) -> str:
    ordering(text)
    return text


@dataclass(frozen=True, slots=True)
class RunsView:
    """Everything that decides what the page shows; the names are those in the address.

    q: search; sort: order of the table; runs: ids of the chosen runs; colours: their slots, where these are not simply
    0, 1, 2 …; smooth: steps of the mean; full: the y axis shows every value; by, result, cost: what groups, the parallel
    axes' colours and the front show; own: the parallel axes' lines have the runs' own colours;
    a, b: the runs whose settings are compared; networks: also their networks, image by image.
    """

    show: str = param("runs", one_of(SHOWS))
    q: str = param("", str)
    sort: str = param("-created", _order)
    page: int = param(1, _page)
    runs: tuple[str, ...] = param((), _ids)
    colours: tuple[int, ...] = param((), _slots)
    look: str = param("curves", one_of(LOOKS))
    curves: tuple[str, ...] = param(("loss", "accuracy"), several_of(list_charts))
    x: str = param("step", one_of(AXES))
    smooth: int = param(USUAL_SPAN, _span)
    raw: bool = param(True, switch)
    logx: bool = param(False, switch)
    logy: bool = param(False, switch)
    fold: bool = param(True, switch)
    test: bool = param(False, switch)
    full: bool = param(False, switch)
    by: str = param("", one_of(FIELDS))
    result: str = param("test_accuracy", one_of(list_results))
    own: bool = param(False, switch)
    cost: str = param("seconds", one_of(COSTS))
    a: str = param("", _run)
    b: str = param("", _run)
    networks: bool = param(False, switch)
    report: str = param("D", one_of(REPORTS))

    @property
    def slots(self) -> dict[str, int]:
        """The chosen runs' slots, which give their colours."""
        return assign_slots(self.runs, dict(zip(self.runs, self.colours)))

    def choose(self, runs: Iterable[str]) -> "RunsView":
        """Return the view with other runs chosen; those that stay keep their colours."""
        slots = assign_slots(runs, self.slots)
        colours = tuple(slots.values())
        return replace(self, runs=tuple(slots), colours=() if colours == tuple(range(len(slots))) else colours)

    @property
    def search(self) -> str:
        """The search if it can be read, else none: what was typed stays in its box to be mended."""
        return "" if search_problem(self.q) else self.q


def parse_view(address: Mapping[str, str]) -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of an address, and a sentence for each part of it that was passed over."""
    view, problems = decode(RunsView, {name: text for name, text in address.items() if name not in _RETIRED})
    asked = tuple(dict.fromkeys(split(address.get("runs", ""))))
    if view.runs and len(view.runs) < len(asked):  # some are passed over, and the others keep their colours
        colours = view.colours or tuple(range(len(asked)))
        view = replace(view, colours=tuple(c for c, one in zip(colours, asked) if one in view.runs and c < SLOTS))
    problem = search_problem(view.q)
    return view, tuple(one_sentence(each) for each in (*problems, *([problem] if problem else [])))
