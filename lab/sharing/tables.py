"""Tables of runs and their metrics as text files: CSV, JSON, Markdown, LaTeX.

Numbers are written in full precision. Text is user input: in CSV, a cell that a spreadsheet would read as a formula is
prefixed with an apostrophe (OWASP ASVS 5.0, 1.2.10); in Markdown and LaTeX, every special character is escaped.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence

from lab.metrics import ACCURACY
from lab.runs.records import RunRecord, Series
from lab.sharing.comparison import Cell, Table
from lab.strict_json import float_text, with_names

METRICS_VERSION = 1
# First characters for which Excel, LibreOffice or Google Sheets read a cell as a formula, including full-width forms.
_FORMULA_STARTS = frozenset("=+-@\t\r\n\0＝＋－＠")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': r"\char34{}",  # \textquotedbl is an error in LaTeX's own font encoding, OT1
    "|": r"\textbar{}",
    "[": "{[}",
    "]": "{]}",
    "±": r"$\pm$",
}
_MARKDOWN = frozenset("\\`*_{}[]<>#!|~&:@$^")  # ":" and "@" because bare addresses become links


def csv_cell(value: Cell) -> str:
    """Return one cell: numbers unchanged, text quoted and never readable as a formula."""
    if value is None:
        return ""
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, int):
        return str(value)
    harmless = f"'{value}" if value.lstrip(" ")[:1] in _FORMULA_STARTS and value.strip(" ") else value
    return '"' + harmless.replace('"', '""').replace("\0", "") + '"'


def write_csv(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """Return a CSV document (RFC 4180: comma, CRLF, UTF-8)."""
    lines = [",".join(map(csv_cell, columns))]
    lines.extend(",".join(map(csv_cell, row)) for row in rows)
    return "\r\n".join(lines) + "\r\n"


def metrics_csv(runs: Sequence[tuple[RunRecord, Mapping[str, Series]]]) -> str:
    """Return every point of every run in one long table: run, name, series, step, time_s, value."""
    rows = (
        (run.id, run.name, name, step, time_s, value)
        for run, points in runs
        for name, series in points.items()
        for step, time_s, value in zip(series.step.tolist(), series.time_s.tolist(), series.value.tolist(), strict=True)
    )
    return write_csv(("run", "name", "series", "step", "time_s", "value"), rows)


def metrics_json(runs: Sequence[tuple[RunRecord, Mapping[str, Series]]]) -> str:
    """Return configuration, results and every point of every run as strict JSON; NaN and infinities become strings."""
    document = {
        "format": "convlab-metrics",
        "version": METRICS_VERSION,
        "runs": [
            {
                "run": run.id,
                "name": run.name,
                "state": run.state.value,
                "config": run.config.as_dict(),
                "tags": list(run.tags),
                "note": run.note,
                "seconds": run.seconds,
                "summary": run.summary.as_dict(),
                "headline": run.headline.as_dict(),
                "environment": run.environment.as_dict(),
                "outcome": run.status,
                "findings": [finding.as_dict() for finding in run.findings],
                "series": {
                    name: {"step": series.step, "time_s": series.time_s, "value": series.value}
                    for name, series in points.items()
                },
            }
            for run, points in runs
        ],
    }
    return json.dumps(with_names(document), allow_nan=False, ensure_ascii=False) + "\n"


def shown(value: Cell, *, column: str = "") -> str:
    """Return a cell as display text: accuracies in per cent, large numbers with separators, else five digits."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return float_text(value)
    if ACCURACY.title in column:
        return ACCURACY.format(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.5g}"


def write_markdown(table: Table) -> str:
    """Return a GitHub-flavoured table; numbers are right-aligned."""
    numbers = number_columns(table)
    lines = [
        "| " + " | ".join(markdown_text(column) for column in table.columns) + " |",
        "|" + "|".join(" ---: " if number else " --- " for number in numbers) + "|",
    ]
    for row in table.rows:
        cells = [markdown_text(shown(cell, column=column)) for cell, column in zip(row, table.columns, strict=True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def write_latex(table: Table) -> str:
    """Return a `tabular` with booktabs rules, ready to paste into a report."""
    layout = "".join("r" if number else "l" for number in number_columns(table))
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{{layout}}}", r"\toprule"]
    lines += [" & ".join(latex_text(column) for column in table.columns) + r" \\", r"\midrule"]
    for row in table.rows:
        cells = [latex_text(shown(cell, column=column)) for cell, column in zip(row, table.columns, strict=True)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def markdown_text(text: str) -> str:
    """Return text escaped for a Markdown table cell: no markup, no HTML, no line breaks."""
    words = "".join(f"\\{c}" if c in _MARKDOWN else c for c in " ".join(text.split()))
    return words.replace("www.", "www\\.")


def latex_text(text: str) -> str:
    """Return text escaped for LaTeX."""
    words = "".join(_LATEX.get(c, c) for c in " ".join(text.split()))
    return re.sub("-(?=-)", "-{}", words)  # two hyphens, as in a flag's name, would become one dash


def number_columns(table: Table) -> list[bool]:
    """Return for each column whether it has numbers and no text."""
    return [
        any(isinstance(row[index], (int, float)) for row in table.rows)
        and not any(isinstance(row[index], str) for row in table.rows)
        for index in range(len(table.columns))
    ]
