"""Number formatting shared by pages, CLI, report and files: one function for each kind of number."""

import math
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

_MINUTE_S, _HOUR_S = 60, 3600
_TENTHS_S = 9.95  # shorter durations are written with tenths of a second
# Largest time stamp that is formatted: `datetime` ends with 9999, and two days are left for time zones.
LAST_MOMENT = 253_402_300_800.0 - 2 * 86_400.0
# A space between a number and its unit (per cent, durations, sizes, prefixes of large counts), or a date and its time.
_WITHIN_NUMBER = re.compile(
    r"(?<=[\d∞]) (?=(?:%|px|s|min|h|ms|[kMGT]B|[MGT])(?!\w))|(?<=\d{4}-\d\d-\d\d) (?=\d\d:\d\d)"
)
_PLAIN = 1e6  # larger shares cannot be accuracies and are written in scientific notation


def unbroken(text: str) -> str:
    """Return a text with no-break spaces between numbers and their units, so that no line of a page begins with "%".

    Only pages use it: what commands print and exports contain is searched for, and keeps plain spaces.
    """
    return _WITHIN_NUMBER.sub("\u00a0", text)


def format_percent(share: object, *, digits: int = 2) -> str:
    """Return a share as per cent, such as "98.31 %", "NaN" or "∞"; a dash for a value that is not a number.

    A share below 1 is never written as 100 and a share above 0 never as 0, but as ">99.99 %" and "<0.01 %".
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


def format_wide_percent(share: float) -> str:
    """Return a share that may span powers of ten as per cent in two digits: "0.12 %", "1,200 %", "1e-07 %" or "0 %"."""
    percent = float(f"{100 * share:.2g}")
    is_plain = 1e-3 <= abs(percent) < _PLAIN or percent == 0
    return f"{percent:,.10g} %" if is_plain else f"{percent:.0e} %"


def percent_number(share: object, *, digits: int = 2) -> float | None:
    """Return a share in per cent for a number column of a table, rounded as in `format_percent`.

    A share below 1 stays at least one last digit below 100, a share above 0 at least one last digit above 0. None for a
    value that is not a number or too large.
    """
    if not isinstance(share, int | float) or not abs(share) <= _PLAIN:  # "not inside", so that NaN fails too
        return None
    least = 10.0**-digits
    value = round(100.0 * share, digits)
    return min(max(value, least), round(100 - least, digits)) if 0 < share < 1 else value


def format_points(difference: float) -> str:
    """Return the difference of two shares in percentage points: "+0.31 points", "−1.20 points" or "±0 points"."""
    text = f"{100 * difference:+.2f}".replace("-", "\u2212")
    return "±0 points" if float(text[1:]) == 0 else f"{text} points"


def format_duration(seconds: float | None) -> str:
    """Return a duration as "0.8 s", "42 s", "4 min 05 s" or "2 h 05 min"; a dash for None and non-finite values."""
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
    """Return two durations in seconds as "25 s to 1 min", or as one if both are written alike."""
    first, last = format_duration(low), format_duration(high)
    return first if first == last else f"{first} to {last}"


def format_moment(stamp: float | None, zone: tzinfo | None = None) -> str:
    """Return a time stamp (seconds since the epoch) as "2026-11-28 15:40", in this machine's time zone by default.

    UTC is named. A dash for None and for a time outside 1970 to 9999.
    """
    if stamp is None or not 0 <= stamp <= LAST_MOMENT:  # "not inside", so that NaN fails too
        return "–"
    text = datetime.fromtimestamp(stamp, zone).strftime("%Y-%m-%d %H:%M")
    return f"{text} UTC" if zone is UTC else text


def format_bytes(number: float) -> str:
    """Return a number of bytes as "2.6 kB", "3.34 MB" or "7.61 GB", in powers of 1,000 as in torchinfo."""
    if number >= 1e9:
        return f"{number / 1e9:,.2f} GB"
    return f"{number / 1e6:,.2f} MB" if number >= 1e4 else f"{number / 1e3:,.1f} kB"


def format_loss(value: float) -> str:
    """Return a loss as "0.0829", "15.3", "155,699", "4.4e+15", "NaN" or "∞"."""
    size = abs(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if size >= 1e7 or 0 < size < 1e-4:
        return f"{value:.2g}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.4f}"


def format_short(value: float) -> str:
    """Return a number in compact form, such as "2.5T", "1.2M", "0.0431" or "3.1e+18"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if size <= float(f"{abs(value):.3g}") < 1e15:  # as it is written: 999,999 is 1M, not 1e+03k
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def format_count(number: float) -> str:
    """Return a count as "61,706", "27.07 M", "483.50 G" or "1.25 T"."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if number >= size:
            return f"{number / size:,.2f} {unit}"
    return f"{number:,.0f}"


def format_shape(shape: Iterable[int]) -> str:
    """Return the sizes of a tensor's dimensions, such as "16×5×5"."""
    return "×".join(map(str, shape))


def plural(count: int, noun: str, nouns: str = "") -> str:
    """Return "1 epoch", "3 epochs" or "1,000 images". nouns: the plural, if it is not noun + s."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def ordinal(number: int) -> str:
    """Return an ordinal number, such as "1st" or "14th"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
