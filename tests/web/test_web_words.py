"""How numbers are written on the pages: short, with their unit, and the same everywhere."""

from lab.charts.groups import Spread
from pages.ui.widgets import format_spread


def test_a_spread_is_mean_and_deviation_in_one_scale() -> None:
    assert format_spread(Spread(3, 0.981, 0.0012), scale=100, digits=2, unit=" %") == "98.10 ± 0.12 %"
    assert format_spread(Spread(1, 1234.56, None)) == "1,234.6"
    assert format_spread(None) == "–"
