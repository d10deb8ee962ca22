"""The search language of the Runs page and the CLI: `arch:lenet* lr<0.01 tag:report-d state:finished`.

Terms are separated by spaces, and a run must match all of them. `key:pattern` matches text: `*` and `?` are wildcards,
commas separate alternatives, and case is ignored. `key<number`, `<=`, `>`, `>=`, `=` and `!=` compare numbers; `95%` is
0.95. A word without a key is searched for in name, id, note, tags, network and data set. A leading `-` negates a term;
quotes keep words together. Keys are the settings of `RunConfig` and those of `KEYS`. The database evaluates the whole
search, so a page of 10,000 runs takes some tens of milliseconds.
"""

import fnmatch
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Column, ColumnElement, Float, Integer, Text, and_, case, cast, false, func, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from lab.architectures.registry import list_architectures
from lab.config import FIELDS
from lab.data.registry import LOCAL_KINDS, list_datasets
from lab.errors import InputError, near_miss
from lab.findings import AT_CHANCE, DIVERGED, OUTCOMES
from lab.runs.records import RunState
from lab.runs.tables import runs
from lab.text import describe_character, hidden_character


@dataclass(frozen=True, slots=True)
class SearchKey:
    """A key that is not a setting. column: what it compares, None for a key that `_meaning` treats by itself."""

    help: str
    column: ColumnElement[Any] | None = None


KEYS: dict[str, SearchKey] = {
    "state": SearchKey("queued, running, paused, stopping, stopped, finished, failed or interrupted"),
    "outcome": SearchKey("diverged or guessing (no better than guessing), of finished runs"),
    "tag": SearchKey("one of the run's tags"),
    "pinned": SearchKey("yes or no"),
    "id": SearchKey("the run's id", runs.c.id),
    "name": SearchKey("the run's name", runs.c.name),
    "note": SearchKey("the run's note", runs.c.note),
    "origin": SearchKey("where it came from, such as local or imported", runs.c.origin),
    "on": SearchKey("the device it was trained on", runs.c.device),
    "reason": SearchKey("why it ended", runs.c.reason),
    "test": SearchKey("test accuracy, such as test>0.99 or test>99%", runs.c.test_accuracy),
    "val": SearchKey("validation accuracy", runs.c.val_accuracy),
    "best_epoch": SearchKey("epoch of the best validation", runs.c.best_epoch),
    "seconds": SearchKey("training time", runs.c.seconds),
    "speed": SearchKey("images per second", runs.c.images_per_second),
    "attempts": SearchKey("how many times a worker claimed it", runs.c.attempts),
    "owner": SearchKey("who requested it", runs.c.owner),
    "priority": SearchKey("its priority in the queue", runs.c.priority),
}
_TERM = re.compile(r"(-?)([a-z0-9_]+)(<=|>=|!=|:|<|>|=)(.*)", re.DOTALL | re.IGNORECASE)
_WORDS = re.compile(r'(?:[^\s"]|"[^"]*")+')
_COMPARE: dict[str, Callable[[ColumnElement[Any], float], ColumnElement[bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
_OUTCOMES = {"diverged": DIVERGED, "guessing": AT_CHANCE}  # the code of the finding that defines the outcome
_COPIED = ("arch", "dataset")  # settings that have a column of their own
_YES = {"yes": 1, "true": 1, "1": 1, "no": 0, "false": 0, "0": 0}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. A word without a key has the key "" and the sign ":"."""

    key: str
    sign: str
    value: str
    negative: bool = False


def parse_query(text: str) -> tuple[Term, ...]:
    """Split a search into its terms. Raises `InputError` for an unknown key or a value that does not fit it."""
    hidden = hidden_character(text, lines=True)
    if hidden is not None:
        raise InputError(f"The search contains the {describe_character(hidden)}, which cannot be shown: remove it.")
    if text.count('"') % 2:
        raise InputError(f"The search {text!r} opens a quote and does not close it: add the missing quote.")
    return tuple(_term(word) for word in _WORDS.findall(text))


def _term(word: str) -> Term:
    match = _TERM.fullmatch(word)
    if match is None:
        negative = word.startswith("-") and len(word) > 1
        return Term(key="", sign=":", value=_unquoted(word[negative:]), negative=negative)
    minus, key, sign, value = match.groups()
    term = Term(key=key.lower(), sign=sign, value=_unquoted(value), negative=bool(minus))
    _check(term)
    return term


def _unquoted(text: str) -> str:
    return text.replace('"', "")


def _check(term: Term) -> None:
    known = {*KEYS, *FIELDS}
    if term.key not in known:
        raise InputError(f"The search has no key {term.key!r}. {near_miss(term.key, known)}")
    if not term.value:
        raise InputError(f"The search has nothing after {term.key}{term.sign} to compare with: write a value.")
    if term.key == "state":
        for name in term.value.lower().split(","):
            if "*" not in name and "?" not in name and name not in set(RunState):
                raise InputError(f"{name!r} is not a state of a run. {near_miss(name, list(RunState))}")
    elif term.key == "outcome":
        for name in term.value.lower().split(","):
            if not fnmatch.filter(_OUTCOMES, name):
                raise InputError(f"{name!r} is not an outcome of a run. {near_miss(name, _OUTCOMES)}")
    elif _is_switch(term.key) and (term.value.lower() not in _YES or term.sign not in (":", "=", "!=")):
        raise InputError(f"{term.key} is yes or no, not {term.sign}{term.value}: write {term.key}:yes.")
    elif term.sign in ("<", "<=", ">", ">=") or (_is_number(term.key) and not _has_wildcard(term.value)):
        _numbers(term)


def _is_number(key: str) -> bool:
    if key in KEYS:
        column = KEYS[key].column
        return column is not None and isinstance(column.type, Integer | Float)
    return key in FIELDS and FIELDS[key].kind in (int, float)


def _is_switch(key: str) -> bool:
    return key == "pinned" or (key in FIELDS and FIELDS[key].kind is bool)


def _has_wildcard(value: str) -> bool:
    return "*" in value or "?" in value


def _numbers(term: Term) -> list[float]:
    if not _is_number(term.key):
        raise InputError(
            f"{term.key} is text, so it cannot be compared with {term.sign}: write {term.key}:{term.value}."
        )
    parts = term.value.split(",") if term.sign in (":", "=") else [term.value]
    try:
        return [float(part[:-1]) / 100 if part.endswith("%") else float(part) for part in parts]
    except ValueError:
        raise InputError(
            f"{term.key}{term.sign}{term.value} compares numbers, but {term.value!r} is not one: write {term.key}<0.01."
        ) from None


def condition(text: str, *, states: Mapping[str, RunState]) -> ColumnElement[bool]:
    """Return the SQL condition of a search.

    states: the true states (`rows.derive`) of the rows stored as "running", by run id.
    """
    terms = sorted(parse_query(text), key=_reads_config)
    parts = [_negated_if_minus(term, _meaning(term, states)) for term in terms]
    return and_(runs.c.deleted_at.is_(None), *parts)


def _reads_config(term: Term) -> bool:
    """Return whether a term parses the configuration of each row; these are evaluated last, on the rows that remain."""
    return term.key in FIELDS and term.key not in _COPIED


def _negated_if_minus(term: Term, meaning: ColumnElement[bool]) -> ColumnElement[bool]:
    # A comparison with NULL is NULL, and so is its negation: treat it as false before negating.
    return ~func.coalesce(meaning, false()) if term.negative else meaning


def _meaning(term: Term, states: Mapping[str, RunState]) -> ColumnElement[bool]:
    if term.key == "":
        return or_(*[_like(c, f"*{term.value}*") for c in _SEARCHED])
    if term.key == "state":
        return _in_state(term, states)
    if term.key == "outcome":
        return _signed(term, _with_outcome(term.value.lower().split(",")))
    if _is_switch(term.key):
        wanted = _YES[term.value.lower()]
        if term.key == "pinned":
            return _signed(term, runs.c.pinned == wanted)
        return _signed(term, _of_config(runs.c.config[term.key].as_boolean()) == bool(wanted))
    if term.key == "tag":
        return _signed(term, or_(*[_like(runs.c.tags, f"*\n{p}\n*") for p in term.value.split(",")]))
    if _is_number(term.key) and not _has_wildcard(term.value):
        column = _number_column(term.key)
        sign = "=" if term.sign == ":" else term.sign
        return or_(*[_COMPARE[sign](column, value) for value in _numbers(term)])
    return _signed(term, or_(*[_like(text_column(term.key), pattern) for pattern in term.value.split(",")]))


_SEARCHED = (runs.c.name, runs.c.id, runs.c.note, runs.c.tags, runs.c.arch, runs.c.dataset)


def _signed(term: Term, meaning: ColumnElement[bool]) -> ColumnElement[bool]:
    return ~meaning if term.sign == "!=" else meaning


def _in_state(term: Term, states: Mapping[str, RunState]) -> ColumnElement[bool]:
    patterns = term.value.lower().split(",")
    wanted = [s for s in RunState if any(fnmatch.fnmatchcase(s.value, pattern) for pattern in patterns)]
    derived = [run for run, state in states.items() if state in wanted]
    written = and_(runs.c.state.in_(wanted), runs.c.id.not_in(list(states)))
    return _signed(term, or_(written, runs.c.id.in_(derived)))


def _with_outcome(patterns: Sequence[str]) -> ColumnElement[bool]:
    stored = func.coalesce(cast(runs.c.findings, Text), "")
    codes = [code for pattern in patterns for word, code in _OUTCOMES.items() if fnmatch.fnmatchcase(word, pattern)]
    return and_(runs.c.state == RunState.FINISHED, or_(*[stored.contains(f'"code": "{code}"') for code in codes]))


def _shown_state() -> ColumnElement[Any]:
    """Return the listed status (`RunRecord.status`): the outcome of a run that did not learn, or the state."""
    return case(
        *((_with_outcome([word]), str(OUTCOMES[code])) for word, code in _OUTCOMES.items()),
        else_=runs.c.state,
    )


class _IsJson(FunctionElement[bool]):
    """Whether a column holds valid JSON: SQLite stores it as text, and one damaged row would make every search fail."""

    inherit_cache = True
    type = Boolean()


@compiles(_IsJson, "sqlite")
def _is_json_in_sqlite(element: Any, compiler: Any, **rest: Any) -> str:
    return f"json_valid({compiler.process(element.clauses, **rest)})"


@compiles(_IsJson)
def _is_json_elsewhere(_element: Any, _compiler: Any, **_rest: Any) -> str:
    return "true"


def _of_config(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((_IsJson(runs.c.config), value))


def _number_column(key: str) -> ColumnElement[Any]:
    column = _own_column(key)
    return _of_config(runs.c.config[key].as_float()) if column is None else column


def text_column(key: str) -> ColumnElement[Any]:
    """Return a setting or another key as a text expression over a run's row; NULL if the row is damaged."""
    column = _own_column(key)
    if column is None:
        return _of_config(runs.c.config[key].as_string())
    return cast(column, Text) if _is_number(key) else column


def _own_column(key: str) -> ColumnElement[Any] | None:
    """Return the column of a key, or None if its value is only in the configuration."""
    if key in _COPIED:
        return runs.c[key]
    return KEYS[key].column if key in KEYS else None


def _like(column: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """Match a pattern of `*` and `?`, ignoring case."""
    escaped = re.sub(r"([\\%_])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
    return func.lower(column).like(escaped.lower(), escape="\\")


def _network_title() -> ColumnElement[Any]:
    titles = {spec.id: spec.title.lower() for spec in list_architectures()}
    return case(titles, value=runs.c.arch, else_=func.lower(runs.c.arch))


def _dataset_title() -> ColumnElement[Any]:
    known = [(runs.c.dataset == spec.id, spec.title.lower()) for spec in list_datasets()]
    local = [(runs.c.dataset.like(f"{kind.name}-%"), kind.title.lower()) for kind in LOCAL_KINDS.values()]
    return case(*known, *local, else_=func.lower(runs.c.dataset))


def _title() -> ColumnElement[Any]:
    """Return what tables show as the name: that of the network for a run that nobody has named."""
    return case((runs.c.name == runs.c.arch, _network_title()), else_=func.lower(runs.c.name))


# What tables show instead of ids and of the names of unnamed runs; registries can grow, so it is made when it is used.
TITLE_ORDERS: dict[str, Callable[[], ColumnElement[Any]]] = {
    "network": _network_title,
    "data": _dataset_title,
    "title": _title,
}
ORDERS: dict[str, ColumnElement[Any]] = {
    "created": runs.c.created_at,
    "finished": runs.c.finished_at,
    "number": runs.c.number,
    "name": func.lower(runs.c.name),
    "state": runs.c.state,
    "outcome": _shown_state(),
    "arch": runs.c.arch,
    "dataset": runs.c.dataset,
    "test": runs.c.test_accuracy,
    "val": runs.c.val_accuracy,
    "best_epoch": runs.c.best_epoch,
    "seconds": runs.c.seconds,
    "speed": runs.c.images_per_second,
    "owner": runs.c.owner,
    "priority": runs.c.priority,
}


def _order_column(key: str) -> ColumnElement[Any]:
    if key in ORDERS:
        return ORDERS[key]
    if key in TITLE_ORDERS:
        return TITLE_ORDERS[key]()
    if key not in FIELDS:
        raise InputError(f"Runs cannot be sorted by {key!r}. {near_miss(key, {*ORDERS, *TITLE_ORDERS, *FIELDS})}")
    return _number_column(key) if _is_number(key) else text_column(key)


def ordering(order: str) -> tuple[ColumnElement[Any], ...]:
    """Return the ORDER BY expressions of `"test"` (ascending) or `"-test"` (descending); NULLs come last.

    order: a key of `ORDERS`, of `TITLE_ORDERS` or a setting of `RunConfig`, with or without "-". Raises `InputError` for any other.
    """
    key = order.removeprefix("-")
    column = _order_column(key)
    first = column.desc() if order.startswith("-") else column.asc()
    # Postgres uses an index only in exactly its own order, and it ignores that a NOT NULL column needs no NULLS LAST.
    certain = isinstance(column, Column) and not column.nullable
    return first if certain else first.nulls_last(), runs.c.number.desc()
