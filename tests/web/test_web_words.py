"""How numbers are written on the pages: short, with their unit, and the same everywhere."""

import numpy as np

from lab.spread import Spread, format_spread
from pages.inside.kernels import kernel_words, moved_words


def test_a_spread_is_mean_and_deviation_in_one_scale() -> None:
    assert format_spread(Spread(3, 0.981, 0.0012), scale=100, digits=2, unit=" %") == "98.10 ± 0.12 % (n = 3)"
    assert format_spread(Spread(5, 0.98423, 0.00107), scale=100, digits=2, unit=" %") == "98.42 ± 0.11 % (n = 5)"
    assert format_spread(Spread(2, 0.98423, 0.2), scale=100, digits=2, unit=" %") == "98.42 % (n = 2)"
    assert format_spread(Spread(1, 1234.56, None)) == "1,234.6"
    assert format_spread(Spread(1, 1234.56, None), of=3) == "1,234.6 (n = 1)"
    assert format_spread(None) == "–"


def test_filters_that_were_zero_or_are_nan_are_distinguished_from_those_that_moved() -> None:
    assert moved_words(0.123) == "moved 12 %"
    assert (moved_words(np.inf, unit="per cent"), moved_words(np.nan)) == ("was zero", "not a number")
    words = kernel_words(np.array([0.1, np.inf, 0.3]), np.array([0.9, np.nan, 0.7]), (3, 1, 5, 5), untrained=False)
    assert words == (
        "3 filters of 5×5, 1 input channel each. Since the start, they have moved by 20 % of their norm on average, "
        "#2 the most (30 %); mean cosine similarity to the start 0.80."
    )
    unknown = np.full(3, np.nan)
    assert "relative change is undefined" in kernel_words(unknown, unknown, (3, 1, 5, 5), untrained=False)
