"""Colours that can be distinguished in both themes and with common colour blindness, and their assignment to runs."""

import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from lab.charts.style import (
    DARK,
    DASHES,
    LIGHT,
    PAGE_DARK,
    PAGE_LIGHT,
    SLOTS,
    assign_slots,
    layout,
    plain_text,
    run_style,
    swatch,
)

PAGES = {"light": (PAGE_LIGHT, LIGHT), "dark": (PAGE_DARK, DARK)}
# Machado, Oliveira, Fernandes: A Physiologically-based Model for Simulation of Color Vision Deficiency, 2009;
# severity 1.
VISIONS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _linear(colour: str) -> np.ndarray:
    value = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _oklab(colour: str, vision: np.ndarray) -> np.ndarray:
    lms = np.clip(vision @ _linear(colour), 0, 1) @ _LMS.T
    return np.asarray(np.cbrt(lms) @ _LAB.T)


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_linear(c) @ [0.2126, 0.7152, 0.0722] for c in (one, other)), reverse=True)
    return float((light + 0.05) / (dark + 0.05))


@pytest.mark.parametrize("page", PAGES)
def test_every_colour_can_be_seen_on_its_page(page: str) -> None:
    paper, colours = PAGES[page]
    assert min(_contrast(colour, paper) for colour in colours) >= 3


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_of_the_twelve_colours_can_be_distinguished(page: str, vision: str) -> None:
    seen = [_oklab(colour, VISIONS[vision]) for colour in PAGES[page][1]]
    nearest = min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))
    assert nearest >= (0.15 if vision == "full" else 0.075)


def test_the_theme_has_the_same_colours() -> None:
    config = Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml"
    theme = tomllib.loads(config.read_text(encoding="utf-8"))["theme"]
    assert tuple(theme["light"]["chartCategoricalColors"]) == LIGHT
    assert tuple(theme["dark"]["chartCategoricalColors"]) == DARK
    assert (theme["light"]["backgroundColor"], theme["dark"]["backgroundColor"]) == (PAGE_LIGHT, PAGE_DARK)


def test_sixty_slots_look_different_and_the_first_twelve_differ_in_colour() -> None:
    for dark in (False, True):
        assert len({run_style(slot, dark=dark) for slot in range(SLOTS)}) == SLOTS == 60
        assert len({run_style(slot, dark=dark).colour for slot in range(12)}) == 12
    assert {run_style(slot, dark=False).dash for slot in range(12)} == {DASHES[0]}


def test_a_run_keeps_its_slot_and_a_new_one_takes_the_lowest_free() -> None:
    first = assign_slots(["a", "b", "c"])
    assert first == {"a": 0, "b": 1, "c": 2}
    without = assign_slots(["b", "c"], first)
    assert without == {"b": 1, "c": 2}
    assert assign_slots(["c", "new", "b"], without) == {"c": 2, "new": 0, "b": 1}
    assert list(assign_slots(["c", "new", "b"], without)) == ["c", "new", "b"]


def test_duplicate_and_invalid_slots_are_assigned_again() -> None:
    assert assign_slots(["a", "b", "c"], {"a": 5, "b": 5, "c": -1}) == {"a": 5, "b": 0, "c": 1}
    assert assign_slots([]) == {}


def test_the_common_layout_is_merged_with_a_charts_own_options() -> None:
    plain = layout(height=300, dark=False)
    assert (plain["height"], plain["margin"], plain["colorway"]) == (
        300,
        {"l": 56, "r": 12, "t": 36, "b": 44},
        list(LIGHT),
    )
    assert plain["legend"] == {"orientation": "h", "yanchor": "top", "y": -0.17, "x": 0}
    dark = layout(
        height=300, dark=True, margin={"t": 8}, xaxis={"type": "log", "title": {"text": "x"}}, showlegend=False
    )
    assert dark["margin"] == {"l": 56, "r": 12, "t": 8, "b": 44}
    assert dark["xaxis"]["title"] == {"standoff": 6, "text": "x"}
    assert (dark["xaxis"]["type"], dark["xaxis"]["automargin"], dark["showlegend"]) == ("log", True, False)
    assert dark["xaxis"]["gridcolor"] == dark["yaxis"]["gridcolor"] != plain["yaxis"]["gridcolor"]
    assert dark["font"] != plain["font"]
    assert dark["colorway"] == list(DARK)


def test_a_shade_and_a_swatch_have_the_colour_and_the_dash_of_the_run() -> None:
    assert run_style(0, dark=False).shade(0.25) == "rgba(0, 114, 178, 0.25)"
    solid, dashed = swatch(run_style(1, dark=False)), swatch(run_style(len(LIGHT) + 1, dark=False))
    assert solid.count(LIGHT[1]) == dashed.count(LIGHT[1]) == 2
    assert ("stroke-dasharray" in solid, 'stroke-dasharray="6 3"' in dashed) == (False, True)


def test_the_text_of_a_chart_is_escaped() -> None:
    assert plain_text("a <b> & c") == "a &lt;b&gt; &amp; c"
