"""What the Runs page shows, as one record that stands in the address: a copied link opens the same picture.

Defaults are left out. What an address asks for and cannot have is passed over, with a sentence that says so.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from lab.charts.overlay import AXES
from lab.charts.pareto import COSTS
from lab.charts.smoothing import SPANS, USUAL_SPAN, nearest_span
from lab.charts.style import SLOTS, assign_slots
from lab.config import FIELDS
from lab.errors import InputError, close_match
from lab.metrics import list_charts
from lab.presets import REPORTS
from lab.runs.query import ordering, parse_query
from lab.sharing.comparison import list_results
from lab.text import one_sentence

LOOKS = {
    "curves": "Curves",
    "differences": "Differences",
    "groups": "Groups",
    "parallel": "Parallel axes",
    "pareto": "Accuracy against cost",
}
SHOWS = {"runs": "Runs", "reports": "Reports"}
MOST_RUNS = SLOTS  # in one picture: more cannot be told apart, and an address has its limits
_BETWEEN = re.compile(r"[.,]")  # written with points, which an address carries as they are
_RETIRED = ("clip",)  # in older links: leaving out what lies far beyond, which is the default now
_ID = re.compile(r"[0-9a-f]{4,32}")
_SLOT = re.compile(r"[0-9]{1,2}")


@dataclass(frozen=True, slots=True)
class RunsView:
    """Everything that decides what the page shows; the names are those in the address.

    q: search; sort: order of the table; runs: ids of the chosen runs; colours: their slots, where these are not simply
    0, 1, 2 …; smooth: steps of the mean; full: the y axis shows every value; by, result, cost: what groups and the front
    show.
    """

    show: str = "runs"
    q: str = ""
    sort: str = "-created"
    page: int = 1
    runs: tuple[str, ...] = ()
    colours: tuple[int, ...] = ()
    look: str = "curves"
    curves: tuple[str, ...] = ("loss", "accuracy")
    x: str = "step"
    smooth: int = USUAL_SPAN
    raw: bool = True
    logx: bool = False
    logy: bool = False
    fold: bool = True
    test: bool = False
    full: bool = False
    by: str = ""
    result: str = "test_accuracy"
    cost: str = "seconds"
    report: str = "D"

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


def search_problem(text: str) -> str:
    """Return why a search cannot be read, "" where it can."""
    try:
        parse_query(text)
    except InputError as error:
        return str(error)
    return ""


_LISTED = 12  # values that are named where one is wrong
_NAMED = 5  # wrong ids that are named


def _one_of(known: Mapping[str, Any]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            close = close_match(text, known)
            hint = f": did you mean {close!r}?" if close else ""
            raise ValueError(
                f"one of {', '.join(known)}{hint}" if len(known) <= _LISTED else f"one of {len(known)} names{hint}"
            )
        return text

    return read


def _several_of(known: Mapping[str, Any]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_one_of(known)(part) for part in _BETWEEN.split(text)))

    return read


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


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
    parts = _BETWEEN.split(text)
    if len(parts) > MOST_RUNS or not all(_SLOT.fullmatch(part) and int(part) < SLOTS for part in parts):
        raise ValueError(f"numbers from 0 to {SLOTS - 1}, one for each run")
    return tuple(map(int, parts))


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise ValueError("a page number from 1")
    return int(text)


def _ids(text: str) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(_BETWEEN.split(text)))
    wrong = [_short(one) for one in ids if not _ID.fullmatch(one)]
    if wrong:
        more = " and others" if len(wrong) > _NAMED else ""
        raise ValueError(f"ids of runs, and {', '.join(map(repr, wrong[:_NAMED]))}{more} cannot be one")
    if len(ids) > MOST_RUNS:
        raise ValueError(f"at most {MOST_RUNS} ids of runs, not {len(ids)}")
    return ids


def _order(text: str) -> str:
    ordering(text)
    return text


_READ: dict[str, Callable[[str], Any]] = {
    "show": _one_of(SHOWS),
    "q": str,
    "sort": _order,
    "page": _page,
    "runs": _ids,
    "look": _one_of(LOOKS),
    "curves": lambda text: _several_of(list_charts())(text),
    "x": _one_of(AXES),
    "smooth": _span,
    "colours": _slots,
    "by": _one_of(FIELDS),
    "result": lambda text: _one_of(list_results())(text),
    "cost": _one_of(COSTS),
    "report": _one_of(REPORTS),
    **dict.fromkeys(("raw", "logx", "logy", "fold", "test", "full"), _switch),
}
_DEFAULT = RunsView()


def parse_view(address: Mapping[str, str]) -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of an address, and a sentence for each part of it that was passed over."""
    values: dict[str, Any] = {}
    complaints = []
    for name, text in address.items():
        if name in _RETIRED:
            continue
        if name not in _READ:
            close = close_match(name, _READ)
            hint = f" Did you mean {close!r}?" if close else ""
            complaints.append(f"The address asks for {_short(name)!r}, which this page does not know.{hint}")
            continue
        try:
            values[name] = _READ[name](text)
        except InputError as error:
            complaints.append(str(error))
        except ValueError as error:
            complaints.append(
                f"The address has {name}={_short(text)!r}, but it must be {str(error).rstrip('?')}{'?' if str(error).endswith('?') else '.'}"
            )
    problem = search_problem(values.get("q", ""))
    return RunsView(**values), tuple(one_sentence(each) for each in (*complaints, *([problem] if problem else [])))


def view_address(view: RunsView) -> dict[str, str]:
    """Return the address of a view, without what is as usual."""
    changed = [f.name for f in fields(view) if getattr(view, f.name) != getattr(_DEFAULT, f.name)]
    return {name: _written(getattr(view, name)) for name in changed}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    return str(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
