"""The style of runs in every chart: a colour and a dash, chosen by the run's slot in the selection.

A run takes the lowest free slot when it is selected and keeps it while other runs are added or removed. The address
carries the slots, so a shared link shows the same colours. Twelve colours times five dashes distinguish sixty runs.
Each colour has a contrast of at least 3:1 with the page background. Any two colours differ by at least 0.15 in OKLab,
and by 0.075 as seen with protanopia, deuteranopia or tritanopia (simulated after Machado et al. 2009).
`.streamlit/config.toml` repeats the two lists.
"""

from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Any, NamedTuple

from lab.text import shortened

_LEGEND_LETTERS = 50
_TICK_LETTERS, _TICK_LINES = 14, 4  # letters per line, and lines

LIGHT = (
    "#0072b2",
    "#c75000",
    "#2da578",
    "#d24bff",
    "#96000f",
    "#690fc3",
    "#005a4b",
    "#a53c87",
    "#0f00ff",
    "#5a1e5a",
    "#9687c3",
    "#001e96",
)
DARK = (
    "#56b4e9",
    "#f2a33a",
    "#1ea578",
    "#a51ec3",
    "#c31e5a",
    "#a578ff",
    "#5ae1b4",
    "#ff69b4",
    "#3c4bff",
    "#b46900",
    "#876996",
    "#96ff00",
)
PAGE_LIGHT, PAGE_DARK = "#ffffff", "#10151c"  # the page behind a chart
GREY = "#8792a0"  # for reference lines, used by no run: at least 3:1 against both backgrounds
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SVG_DASHES = {"dash": "6 3", "dot": "2 2", "dashdot": "6 2 2 2", "longdash": "10 3"}
SLOTS = len(LIGHT) * len(DASHES)  # runs that can be distinguished


class RunStyle(NamedTuple):
    """Colour as #rrggbb and a Plotly dash."""

    colour: str
    dash: str

    def shade(self, opacity: float) -> str:
        """Return the colour as rgba()."""
        red, green, blue = (int(self.colour[at : at + 2], 16) for at in (1, 3, 5))
        return f"rgba({red}, {green}, {blue}, {opacity:g})"


def run_style(slot: int, *, dark: bool) -> RunStyle:
    """Return the style of the run in this slot."""
    colours = DARK if dark else LIGHT
    return RunStyle(colours[slot % len(colours)], DASHES[slot // len(colours) % len(DASHES)])


def swatch(style: RunStyle) -> str:
    """Return an SVG of a short line with a dot in a run's colour and dash, which tables show next to its name."""
    dash = f' stroke-dasharray="{_SVG_DASHES[style.dash]}"' if style.dash != "solid" else ""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20" aria-hidden="true">'
        f'<path d="M5 10h30" stroke="{style.colour}" stroke-width="1.8"{dash}/>'
        f'<circle cx="20" cy="10" r="4" fill="{style.colour}"/></svg>'
    )


def assign_slots(runs: Iterable[str], known: Mapping[str, int] | None = None) -> dict[str, int]:
    """Return each run's slot: its slot in `known` if that is free, else the lowest free one."""
    chosen = list(dict.fromkeys(runs))
    slots: dict[str, int] = {}
    for run in chosen:
        slot = (known or {}).get(run, -1)
        if slot >= 0 and slot not in slots.values():
            slots[run] = slot
    free = (slot for slot in range(len(chosen)) if slot not in set(slots.values()))
    return {run: slots[run] if run in slots else next(free) for run in chosen}


def plain_text(text: str) -> str:
    """Return the text escaped for Plotly, which interprets some HTML in names and labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def legend_name(name: str) -> str:
    """Return a run's name for a legend: its middle is omitted if it is too long for the width of a phone."""
    return plain_text(shortened(name, _LEGEND_LETTERS))


def tick_lines(name: str) -> str:
    """Return the label of a tick in lines short enough for two or three of them on a phone."""
    lines = wrap(name, _TICK_LETTERS, max_lines=_TICK_LINES, placeholder=" …", break_on_hyphens=False)
    return "<br>".join(plain_text(line) for line in lines)


def text_colour(*, dark: bool) -> str:
    """Return the colour of text, as in `.streamlit/config.toml`."""
    return "#e4eaf2" if dark else "#1a2330"


def line_colour(*, dark: bool) -> str:
    """Return the colour of axes and borders, as in `.streamlit/config.toml`."""
    return "#2d3846" if dark else "#d9e0e8"


def layout(*, height: int, dark: bool, **rest: Any) -> dict[str, Any]:
    """Return the layout that all comparison charts share, merged with `rest`."""
    line = line_colour(dark=dark)
    common: dict[str, Any] = {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 36, "b": 44},
        "colorway": list(DARK if dark else LIGHT),
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "font": {"color": text_colour(dark=dark)},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.17, "x": 0},  # below the x axis and its title
        "xaxis": {
            "gridcolor": line,
            "zeroline": False,
            "automargin": True,
            "title": {"standoff": 6},
            "spikecolor": GREY,
            "spikethickness": 1,
            "spikedash": "solid",
        },
        "yaxis": {"gridcolor": line, "zeroline": False, "automargin": True},
    }
    return _completed(common, rest)


def _completed(common: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Return `common` merged with `rest`, recursively; `rest` takes precedence."""
    both = {name: _completed(common[name], rest[name]) for name in rest if isinstance(common.get(name), dict)}
    return common | rest | both
