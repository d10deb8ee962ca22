"""What the Runs page shows, as one record that stands in the address: a copied link opens the same picture.

Defaults are left out. What an address asks for and cannot have is passed over, with a sentence that says so.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from lab.charts.overlay import AXES, MAX_SMOOTHING, METRICS
from lab.charts.pareto import COSTS
from lab.config import FIELDS
from lab.errors import InputError
from lab.presets import REPORTS
from lab.runs.query import ordering, parse_query
from lab.sharing.comparison import RESULTS
from lab.text import one_sentence

LOOKS = {
    "curves": "Curves",
    "differences": "Differences",
    "groups": "Groups",
    "parallel": "Parallel axes",
    "pareto": "Accuracy against cost",
}
SHOWS = {"runs": "Runs", "reports": "Reports"}
MOST_RUNS = 60  # in one picture: more cannot be told apart, and an address has its limits
_BETWEEN = re.compile(r"[.,]")  # written with points, which an address carries as they are
_ID = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class RunsView:
    """Everything that decides what the page shows; the names are those in the address.

    q: search; sort: order of the table; runs: ids of the chosen runs; by, result, cost: what groups and the front show.
    """

    show: str = "runs"
    q: str = ""
    sort: str = "-created"
    page: int = 1
    runs: tuple[str, ...] = ()
    look: str = "curves"
    curves: tuple[str, ...] = ("loss", "accuracy")
    x: str = "step"
    smooth: float = 0.6
    raw: bool = True
    logx: bool = False
    logy: bool = False
    fold: bool = True
    test: bool = False
    clip: bool = False
    by: str = ""
    result: str = "test_accuracy"
    cost: str = "seconds"
    report: str = "D"

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


def _one_of(known: Mapping[str, Any]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise ValueError(f"one of {', '.join(known)}")
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


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= MAX_SMOOTHING:
        raise ValueError(f"a number from 0 to {MAX_SMOOTHING:g}")
    return value


def _page(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise ValueError("a page number from 1")
    return int(text)


def _ids(text: str) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(_BETWEEN.split(text)))
    if len(ids) > MOST_RUNS or not all(_ID.fullmatch(one) for one in ids):
        raise ValueError(f"at most {MOST_RUNS} ids of runs")
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
    "curves": _several_of(METRICS),
    "x": _one_of(AXES),
    "smooth": _number,
    "by": _one_of(FIELDS),
    "result": _one_of(dict(RESULTS)),
    "cost": _one_of(COSTS),
    "report": _one_of(REPORTS),
    **dict.fromkeys(("raw", "logx", "logy", "fold", "test", "clip"), _switch),
}
_DEFAULT = RunsView()


def parse_view(address: Mapping[str, str]) -> tuple[RunsView, tuple[str, ...]]:
    """Return the view of an address, and a sentence for each part of it that was passed over."""
    values: dict[str, Any] = {}
    complaints = []
    for name, text in address.items():
        if name not in _READ:
            complaints.append(f"The address asks for {_short(name)!r}, which this page does not know.")
            continue
        try:
            values[name] = _READ[name](text)
        except InputError as error:
            complaints.append(str(error))
        except ValueError as error:
            complaints.append(f"The address has {name}={_short(text)!r}, but it must be {error}.")
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
        return ".".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
