"""How numbers are written for people: per cent, durations, counts and plurals, the same on pages, CLI, report and files."""

import math
import sys

_MINUTE_S, _HOUR_S = 60, 3600
_TENTHS_S = 9.95  # below it tenths of a second are written
_PLAIN = 1e6  # shares beyond this are no accuracies; they are written in scientific notation


def format_percent(share: object, *, digits: int = 2) -> str:
    """Return a share as per cent, such as "98.31 %"; a dash for nothing, "NaN" and "∞" by name.

    A share below 1 is never written as 100 and one above 0 never as 0: ">99.99 %", "<0.01 %".
    """
    if not isinstance(share, int | float):
        return "–"
    if share != share:
        return "NaN"
    if abs(share) > sys.float_info.max:
        return "∞" if share > 0 else "-∞"
    if abs(share) > _PLAIN:
        return f"{100.0 * share:.3g} %"
    text = f"{100 * share:.{digits}f}"
    least = 10.0**-digits
    if 0 < share < 1 and float(text) >= 100:
        return f">{100 - least:.{digits}f} %"
    if 0 < share < 1 and float(text) == 0:
        return f"<{least:.{digits}f} %"
    return f"{text} %"


def percent_number(share: object, *, digits: int = 2) -> float | None:
    """Return a share as a number of per cent for a table's number column, rounded as `format_percent` rounds.

    Below 100 it stays at least the last digit below it, above 0 at least the last digit above; nothing for no number.
    """
    if not isinstance(share, int | float) or not abs(share) <= _PLAIN:  # "not inside", so that NaN fails too
        return None
    least = 10.0**-digits
    value = round(100.0 * share, digits)
    return min(max(value, least), round(100 - least, digits)) if 0 < share < 1 else value


def format_duration(seconds: float | None) -> str:
    """Return such as "0.8 s", "42 s", "4 min 05 s" or "2 h 05 min"; a dash for nothing and for what is not finite."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(seconds)
    if seconds < _TENTHS_S:
        return f"{seconds:.1f} s"
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        rest = f" {whole % _MINUTE_S:02d} s" if whole % _MINUTE_S else ""
        return f"{whole // _MINUTE_S} min{rest}"
    return f"{whole // _HOUR_S:,} h {whole % _HOUR_S // _MINUTE_S:02d} min"


def format_range(low: float, high: float) -> str:
    """Return two durations in seconds as "25 s to 1 min"; one alone where both are written alike."""
    first, last = format_duration(low), format_duration(high)
    return first if first == last else f"{first} to {last}"


def format_count(number: float) -> str:
    """Return such as "61,706", "27.07 M", "483.50 G", "1.25 T"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,.0f}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return such as "1 epoch", "3 epochs", "1,000 images"; `nouns` where the plural is not noun + s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"
