"""The calibration figure shows the bins with answers, and nothing for empty ones."""

import numpy as np

from lab.charts.calibration import calibration_figure


def test_only_bins_with_answers_are_points_and_the_tooltip_has_their_number() -> None:
    figure = calibration_figure(np.array([np.nan, 0.5, 0.9]), np.array([np.nan, 0.25, 1.0]), np.array([0, 4, 12]))
    diagonal, curve = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert list(curve.x) == [0.5, 0.9]
    assert list(curve.y) == [0.25, 1.0]
    assert list(curve.customdata) == [4, 12]
    assert curve.marker.size[1] > curve.marker.size[0]


def test_no_answers_give_an_empty_curve() -> None:
    nothing = np.full(2, np.nan)
    diagonal, curve = calibration_figure(nothing, nothing, np.zeros(2, int)).data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert [len(column) for column in (curve.x, curve.y, curve.customdata)] == [0, 0, 0]


def test_the_tooltip_of_a_bin_has_its_own_confidence_accuracy_and_number() -> None:
    """Sizes grow with the square root, so that the area of a point is its share of the images."""
    curve = calibration_figure(np.array([0.2, np.nan, 0.9]), np.array([0.25, np.nan, 1.0]), np.array([1, 0, 3])).data[1]
    assert list(curve.text) == [
        "confidence 20.0 %, accuracy 25.0 %<br>1 image",
        "confidence 90.0 %, accuracy 100.0 %<br>3 images",
    ]
    assert list(curve.marker.size) == [7 + 26 * 0.25**0.5, 7 + 26 * 0.75**0.5]


def test_the_point_of_a_single_image_has_the_full_size() -> None:
    curve = calibration_figure(np.array([0.9]), np.array([1.0]), np.array([1])).data[1]
    assert list(curve.marker.size) == [33.0]
