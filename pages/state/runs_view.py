"""The view of the Runs page as one record that is stored in the address: a copied link opens the same view.

Defaults are left out. An invalid part of an address is ignored, with a message.
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

LOOKS = {  # titles may change, but not the names, which are in links
    "curves": "Curves",
    "differences": "Differences",
    "groups": "Groups",
    "verdict": "Significance test",
    "parallel": "Parallel coordinates",
    "pareto": "Pareto front",
    "tree": "Lineage",
}
SHOWS = {"runs": "Runs", "reports": "Reports"}
MAX_RUNS = SLOTS  # in one chart: more lines cannot be distinguished, and an address has a limited length
_RETIRED = ("clip",)  # in older links: cutting off far outliers, which is now the default
_ID = re.compile(rf"[0-9a-f]{{4,32}}|{ID_PREFIX}[a-z]{{1,20}}")
_SLOT = re.compile(r"[0-9]{1,2}")


def search_problem(text: str) -> str:
    """Return why a search cannot be parsed, "" if it can."""
    try:
        parse_query(text)
    except InputError as error:
        return str(error)
    return ""


_NAMED = 5  # invalid ids that are listed in a message


def _span(text: str) -> int:
    """Read the number of steps of a mean, or a weight below 1, which older links have instead."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0.0 <= value < 1.0:
        return nearest_span(value)
    if value not in SPANS:
        raise ValueError(f"a number of steps, one of {', '.join(map(str, SPANS))}")
    return int(value)


def _slots(text: str) -> tuple[int, ...]:
    parts = split(text)
    if len(parts) > MAX_RUNS or not all(_SLOT.fullmatch(part) and int(part) < SLOTS for part in parts):
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
        rule = f"run ids, and {', '.join(map(repr, wrong[:_NAMED]))}{more} cannot be one"
    elif len(ids) > MAX_RUNS:
        rule = f"at most {MAX_RUNS} run ids, not {len(ids)}"
    if rule and right:
        shown = "the others" if wrong else f"the first {MAX_RUNS}"
        raise PartlyWrongError(f"{rule}: {shown} are shown", right[:MAX_RUNS])
    if rule:
        raise ValueError(rule)
    return ids


def _run(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("a run id")
    return text


def _order(text: str) -> str:
    ordering(text)
    return text


@dataclass(frozen=True, slots=True)
class RunsView:
    """Everything that determines what the page shows; the field names are those in the address.

    q: search. sort: order of the table. runs: ids of the chosen runs. colours: their slots, if not simply 0, 1, 2, ….
    smooth: steps of the mean. test: whether curves of the test set are drawn, None for the runs' default. full: whether the y axis shows every value. by, result, cost: settings of the groups, the
    parallel coordinates' colours and the Pareto front. own: whether their lines have the runs' own colours. a, b:
    runs whose settings are compared. networks: whether their networks are compared too, image by image.
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
    test: bool | None = param(None, switch)
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
        """The slot of each chosen run, which determines its colour."""
        return assign_slots(self.runs, dict(zip(self.runs, self.colours)))

    def choose(self, runs: Iterable[str]) -> "RunsView":
        """Return the view with other runs chosen; those that stay keep their colours."""
        slots = assign_slots(runs, self.slots)
        colours = tuple(slots.values())
        return replace(self, runs=tuple(slots), colours=() if colours == tuple(range(len(slots))) else colours)

    @property
    def search(self) -> str:
        """The search if it can be parsed, else ""; the text stays in its input, to be corrected."""
        return "" if search_problem(self.q) else self.q


def parse_view(address: Mapping[str, str]) -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of an address, and a message for each part of it that was ignored."""
    view, problems = decode(RunsView, {name: text for name, text in address.items() if name not in _RETIRED})
    asked = tuple(dict.fromkeys(split(address.get("runs", ""))))
    if view.runs and len(view.runs) < len(asked):  # some were ignored, and the others keep their colours
        colours = view.colours or tuple(range(len(asked)))
        view = replace(view, colours=tuple(c for c, one in zip(colours, asked) if one in view.runs and c < SLOTS))
    problem = search_problem(view.q)
    return view, tuple(one_sentence(each) for each in (*problems, *([problem] if problem else [])))
