"""Notes on what a chart of curves leaves out: values beyond its axis, and points a logarithmic axis cannot show."""

from collections.abc import Sequence

from lab.charts.lines import Line
from lab.charts.ranges import Excursion, Limits, excursions, leaving_words
from lab.metrics import HELD_OUT, Quantity

_WORDS = {split.value: split.label for split in HELD_OUT}
_MAX = 3  # values listed in one sentence
_UNITS = {"step": "step", "epoch": "epoch", "relative": "second"}


def left_out_notes(
    lines: Sequence[Line], limits: Limits | None, *, title: str, x: str, quantity: Quantity, log_x: bool, log_y: bool
) -> tuple[str, ...]:
    """Return a sentence for each kind of value that the figure does not show."""
    remarks = [_leaving(line, limits, x) for line in _first_of_each_run(lines, limits)]
    if log_x:
        remarks.append(_not_on_log_axis(lines, title=title, quantity=quantity))
    if log_y:
        remarks += [_not_positive(line, x) for line in lines]
    return tuple(text for text in remarks if text)


def _first_of_each_run(lines: Sequence[Line], limits: Limits | None) -> list[Line]:
    """Return for each run the line that leaves the chart first."""
    leaving: dict[tuple[str, ...], tuple[float, Line]] = {}
    for line in lines:
        for one in excursions(line.measured.value, limits)[:1]:
            at = float(line.measured.x[one.at])
            if line.runs not in leaving or at < leaving[line.runs][0]:
                leaving[line.runs] = (at, line)
    return [line for _, line in leaving.values()]


def _leaving(line: Line, limits: Limits | None, x: str) -> str:
    found = excursions(line.measured.value, limits)
    return f"{line.label} {leaving_words(found, position_text(line, found[0], x))}."


def position_text(line: Line, one: Excursion, x: str) -> str:
    """Return where a stretch begins, such as "step 120"."""
    if line.measured.steps.size:
        return f"step {line.measured.steps[one.at]:,}"
    at = float(line.measured.x[one.at])
    return "that time of day" if x == "wall" else f"{_UNITS[x]} {at:,.6g}"


def _not_on_log_axis(lines: Sequence[Line], *, title: str, quantity: Quantity) -> str:
    seen: dict[tuple[str, ...], str] = {}
    steps = set()
    for line in lines:
        for step, value in line.dropped[:1]:
            steps.add(step)
            seen.setdefault(line.runs, f"{line.label}: {quantity.format(value, digits=1)}")
    if not seen:
        return ""
    values = list(seen.values())
    more = f"; and {len(values) - _MAX} more" if len(values) > _MAX else ""
    where = " and ".join(f"step {step:,}" for step in sorted(steps)[:_MAX])
    return f"{title} at {where} ({'; '.join(values[:_MAX])}{more}) is not on a logarithmic axis."


def _not_positive(line: Line, x: str) -> str:
    value = line.measured.value
    found = excursions(value, None, log=True)
    if not found:
        return ""
    count = int((value <= 0).sum())
    kind = f" ({_WORDS[line.kind]})" if line.kind in _WORDS else ""
    values = "value" if count == 1 else "values"
    return (
        f"{line.label}{kind} has {count:,} {values} of 0 or less from {position_text(line, found[0], x)} on, which "
        "are not on a logarithmic axis."
    )
