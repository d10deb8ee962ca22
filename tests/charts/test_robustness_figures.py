"""The heat map of probabilities over the levels of a distortion, and the curves of accuracy."""

import numpy as np

from lab.charts.robustness import accuracy_figure, level_map, level_map_figure, level_map_words
from lab.charts.style import DARK, LIGHT
from lab.inspection.distortions import DISTORTIONS, Robustness

_STROKE = DISTORTIONS["stroke"]


def _probabilities(levels: int, classes: int) -> np.ndarray:
    """Level l is certain of class l, with the rest on class 0."""
    shares = np.full((levels, classes), 0.0)
    shares[np.arange(levels), np.arange(levels)] = 0.75
    shares[:, 0] += 0.25
    return shares


def test_the_heat_map_has_a_row_per_class_and_a_column_per_level() -> None:
    info = level_map(_probabilities(6, 10), [f"<{k}>" for k in range(10)], chosen=4, truth=2)
    assert info.classes == ("<0>", "<1>", "<2> ✓", "<3>", "<4>", "<5>", "<6>", "<7>", "<8>", "<9>")
    assert info.probabilities[4].tolist() == [0, 0, 0, 0, 0.75, 0]
    assert info.probabilities[0].tolist() == [1, 0.25, 0.25, 0.25, 0.25, 0.25]
    figure = level_map_figure(info, _STROKE)
    (heat,) = figure.data
    assert (heat.zmin, heat.zmax) == (0, 1)
    assert figure.layout.xaxis.ticktext == ("−2 px", "−1 px", "0 px", "+1 px", "+2 px", "+3 px")
    assert figure.layout.yaxis.ticktext[2] == "&lt;2&gt; ✓"
    assert figure.layout.yaxis.range == (9.5, -0.5), "the first class is on top"
    assert heat.hovertext[4][4] == "&lt;4&gt; at +2 px: 75.0 %"
    assert (figure.layout.shapes[0].x0, figure.layout.shapes[0].x1) == (3.5, 4.5)
    assert level_map_words(info, _STROKE) == (
        "Probabilities of 10 classes at 6 levels of the distortion; at +2 px, <4> has the highest, 75.0 %"
    )


def test_of_many_classes_the_most_probable_ones_and_the_true_one_are_shown() -> None:
    names = [str(k) for k in range(47)]
    info = level_map(_probabilities(6, 47), names, chosen=0, truth=46)
    assert info.classes == (*map(str, range(12)), "46 ✓"), "of equal ones, the first"
    unknown = level_map(_probabilities(6, 47)[:, ::-1], names, chosen=0, truth=None)
    assert unknown.classes[-6:] == ("41", "42", "43", "44", "45", "46")
    assert len(unknown.classes) == 12


def test_each_network_has_a_line_with_its_accuracies() -> None:
    one = Robustness("stroke", (0.5, 0.9, 0.99, 0.98, 0.9, 0.7), 1_000)
    two = Robustness("stroke", (0.6, 0.95, 0.98, 0.98, 0.97, 0.9), 1_000)
    figure = accuracy_figure([("a<b", one), ("c", two)], _STROKE, chosen=5)
    lines = figure.data
    assert [line.name for line in lines] == ["a&lt;b", "c"]
    assert list(lines[1].y) == list(two.accuracies)
    assert lines[0].text[0] == "a&lt;b at −2 px: 50.0 %"
    assert [(line.line.color, line.line.dash, line.marker.symbol) for line in lines] == [
        (LIGHT[0], "solid", "circle"),
        (LIGHT[1], "dash", "square"),
    ]
    assert figure.layout.shapes[0].x0 == 5
    assert figure.layout.showlegend
    alone = accuracy_figure([("c", two)], _STROKE, chosen=0, dark=True)
    assert (alone.layout.showlegend, alone.data[0].line.color) == (False, DARK[0])
