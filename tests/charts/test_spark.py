"""The sparkline next to a run: points with known answers, and no picture without finite values."""

from xml.etree import ElementTree

import numpy as np
import pytest

from lab.charts.spark import HEIGHT, WIDTH, spark_points, sparkline


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right_corner() -> None:
    assert spark_points([0.0, 1.0]) == ((2.0, HEIGHT - 2.0), (WIDTH - 2.0, 2.0))


@pytest.mark.parametrize("values", [[0.3], [0.3, 0.3, 0.3]])
def test_one_value_and_equal_ones_lie_in_the_middle(values: list[float]) -> None:
    assert {y for _, y in spark_points(values)} == {HEIGHT / 2}


def test_non_finite_values_are_left_out_and_the_others_keep_their_position() -> None:
    assert spark_points([0.0, np.nan, 1.0, np.inf]) == (spark_points([0, 0, 1, 0])[0], spark_points([0, 0, 1, 0])[2])


def test_a_long_curve_keeps_its_ends_and_few_points() -> None:
    points = spark_points(np.linspace(0, 1, 10_000))
    assert len(points) == 60
    assert points[0] == (2.0, HEIGHT - 2.0)
    assert points[-1] == (WIDTH - 2.0, 2.0)


@pytest.mark.parametrize("values", [[], [np.nan, np.inf]])
def test_without_finite_values_there_is_no_picture(values: list[float]) -> None:
    assert sparkline(values) == ""


def test_line_and_dot_have_the_requested_colour() -> None:
    line, dot = ElementTree.fromstring(sparkline([0.1, 0.4], colour="#c75000"))
    assert (line.attrib["stroke"], dot.attrib["fill"]) == ("#c75000", "#c75000")


def test_the_picture_is_one_line_and_a_dot_on_its_last_value() -> None:
    drawn = ElementTree.fromstring(sparkline([0.1, 0.4]))
    line, dot = drawn
    assert line.attrib["points"].split() == [f"2.0,{HEIGHT - 2.0}", f"{WIDTH - 2.0},2.0"]
    assert (dot.attrib["cx"], dot.attrib["cy"]) == (str(WIDTH - 2.0), "2.0")
