"""How runs look in every chart: a colour and a dash that belong to the run, not to its place in a selection.

Colours follow Okabe and Ito, adapted to 3:1 against a light and a dark page (the lists of `.streamlit/config.toml`).
Six colours times five dashes tell thirty runs in a row apart; the dash says the same as the colour to those who cannot
see it.
"""

from typing import Any, NamedTuple

LIGHT = ("#0072b2", "#c75000", "#00805d", "#a8497f", "#8a6a00", "#5b6472")
DARK = ("#56b4e9", "#f2a33a", "#2cc79a", "#e79ac4", "#f0e442", "#aab4c2")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


class RunStyle(NamedTuple):
    """Colour as #rrggbb and a Plotly dash."""

    colour: str
    dash: str

    def shade(self, opacity: float) -> str:
        """Return the colour as rgba()."""
        red, green, blue = (int(self.colour[at : at + 2], 16) for at in (1, 3, 5))
        return f"rgba({red}, {green}, {blue}, {opacity:g})"


def run_style(number: int, *, dark: bool) -> RunStyle:
    """Return the look of the run with this number in its store."""
    colours = DARK if dark else LIGHT
    return RunStyle(colours[number % len(colours)], DASHES[number // len(colours) % len(DASHES)])


def plain_text(text: str) -> str:
    """Return text that Plotly, which reads some HTML in names and labels, shows as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def layout(*, height: int, dark: bool, **rest: Any) -> dict[str, Any]:
    """Return what all comparison charts share, to be completed by `rest`."""
    line = "#2d3846" if dark else "#d9e0e8"
    common: dict[str, Any] = {
        "height": height,
        "margin": {"l": 56, "r": 12, "t": 36, "b": 44},
        "colorway": list(DARK if dark else LIGHT),
        "paper_bgcolor": "rgba(0, 0, 0, 0)",
        "plot_bgcolor": "rgba(0, 0, 0, 0)",
        "font": {"color": "#e4eaf2" if dark else "#1a2330"},
        "legend": {"orientation": "h", "yanchor": "top", "y": -0.17, "x": 0},  # below the x axis and its title
        "xaxis": {"gridcolor": line, "zeroline": False, "automargin": True, "title": {"standoff": 6},
                  "spikecolor": "#8792a0", "spikethickness": 1, "spikedash": "solid"},
        "yaxis": {"gridcolor": line, "zeroline": False, "automargin": True},
    }  # fmt: skip
    return _completed(common, rest)


def _completed(common: dict[str, Any], rest: dict[str, Any]) -> dict[str, Any]:
    """Return `common` with what `rest` says instead or beside it, dictionary by dictionary."""
    both = {name: _completed(common[name], rest[name]) for name in rest if isinstance(common.get(name), dict)}
    return common | rest | both
