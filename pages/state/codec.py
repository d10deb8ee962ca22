"""The codec between a page's record and its address: fields declared with `param` are in the address, others are not.

Pure functions without Streamlit. Defaults are left out of an address. An invalid part of an address is ignored, with a
message that names the value and the rule.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, cast

from lab.errors import InputError, close_match

S = TypeVar("S")

_PARAM = "param"
_LISTED = 12  # up to as many allowed values are listed in a message
_SHOWN = 40  # characters of an invalid value in a message
_WHOLE = re.compile(r"-?[0-9]{1,15}")  # str.isdigit also accepts "²", which int() refuses
_BETWEEN = re.compile(r"[.,]")  # lists are written with points, which need no escaping in an address

Reader = Callable[[str], Any]
Names = Iterable[str] | Callable[[], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Param:
    """How one field is written in the address. name: of the parameter. read: raises `ValueError` with the rule."""

    name: str
    read: Reader


class PartlyWrongError(ValueError):
    """A list with some invalid parts. rule: what they violate. right: the valid parts."""

    def __init__(self, rule: str, right: Any) -> None:
        super().__init__(rule)
        self.right = right


def param(default: Any, read: Reader, *, name: str = "") -> Any:
    """Declare a field that is part of the address, under its own name unless `name` is given."""
    return field(default=default, metadata={_PARAM: Param(name, read)})


def params_of(record: object) -> dict[str, Param]:
    """Return the parameters of a record, which is a dataclass or an instance of one, by field."""
    return _params_of(cast(Any, record))


@cache
def _params_of(record: Any) -> dict[str, Param]:
    found: dict[str, Param] = {}
    for each in fields(record):
        declared: Param | None = each.metadata.get(_PARAM)
        if declared is not None:
            found[each.name] = Param(declared.name or each.name, declared.read)
    return found


def defaults_of(record: Any) -> dict[str, Any]:
    """Return the defaults of the fields that are part of the address, by field."""
    declared: dict[str, Field[Any]] = {each.name: each for each in fields(record)}
    return {name: declared[name].default for name in params_of(record)}


def decode(record: type[S], address: Mapping[str, str]) -> tuple[S, tuple[str, ...]]:
    """Return the record of an address, and a message for each part of it that was ignored."""
    by_address = {each.name: (own, each) for own, each in params_of(record).items()}
    values: dict[str, Any] = {}
    problems = []
    for name, text in address.items():
        if name not in by_address:
            problems.append(unknown(name, by_address))
            continue
        own, declared = by_address[name]
        try:
            values[own] = declared.read(text)
        except InputError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(wrong(name, text, str(error)))
            if isinstance(error, PartlyWrongError):
                values[own] = error.right
    return record(**values), tuple(problems)


def encode(record: object) -> dict[str, str]:
    """Return the address of a record, without defaults."""
    kind: Any = type(record)
    usual = defaults_of(kind)
    return {
        each.name: write(getattr(record, own))
        for own, each in params_of(kind).items()
        if getattr(record, own) != usual[own]
    }


def write(value: object) -> str:
    """Return a value as it is written in an address."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, tuple):
        return ".".join(map(str, value))
    return str(value)


def wrong(name: str, text: str, rule: str) -> str:
    """Return the message for an invalid value; the rule may end in a question."""
    end = "" if rule.endswith("?") else "."
    return f"The address has {name}={shorten(text)!r}, but it must be {rule}{end}"


def unknown(name: str, known: Iterable[str]) -> str:
    """Return the message for a parameter that a page does not know."""
    close = close_match(name, known)
    hint = f" Did you mean {close!r}?" if close else ""
    return f"The address has {shorten(name)!r}, which this page does not recognise.{hint}"


def shorten(text: str) -> str:
    """Return a text from outside, shortened for a message."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def whole_number(text: str) -> int | None:
    """Return the whole number in a text from outside, None for any other text and for more than 15 digits."""
    return int(text) if _WHOLE.fullmatch(text) else None


# Readers of one value: each returns it, or raises `ValueError` with the rule.


def one_of(names: Names) -> Reader:
    """Return a reader of one of some names. names: a function is called at each reading."""

    def read(text: str) -> str:
        known = list(names() if callable(names) else names)
        if text in known:
            return text
        if not known:
            raise ValueError("left out, because there is nothing to choose from")
        close = close_match(text, known)
        hint = f": did you mean {close!r}?" if close else ""
        listed = ", ".join(known) if len(known) <= _LISTED else f"{len(known)} names"
        raise ValueError(f"one of {listed}{hint}")

    return read


def several_of(names: Names) -> Reader:
    """Return a reader of several names without duplicates; if only some are invalid, the others are accepted."""
    one = one_of(names)

    def read(text: str) -> tuple[str, ...]:
        right: list[str] = []
        problem: ValueError | None = None
        for part in dict.fromkeys(split(text)):
            try:
                right.append(one(part))
            except ValueError as error:
                problem = problem or error
        if problem is not None:
            raise PartlyWrongError(str(problem), tuple(right)) if right else problem
        return tuple(right)

    return read


def split(text: str) -> list[str]:
    """Return the parts of a list."""
    return _BETWEEN.split(text)


def whole(low: int, high: int) -> Reader:
    """Return a reader of whole numbers from low to high."""

    def read(text: str) -> int:
        number = whole_number(text)
        if number is None or not low <= number <= high:
            raise ValueError(f"a whole number from {low:,} to {high:,}")
        return number

    return read


def switch(text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"
