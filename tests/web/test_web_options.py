"""The inputs of a network's options allow what the option allows, and hold its default."""

import math

import pytest
from streamlit.testing.v1 import AppTest

from lab.architectures.registry import list_architectures
from lab.architectures.spec import ArchOption

CASES = {
    (option.name, option.kind, option.low, option.high): option for a in list_architectures() for option in a.options
}


def draw(option: ArchOption) -> AppTest:
    def script(option) -> None:  # Streamlit runs its text, without the names of this file
        from pages.widgets.options import initial_value, option_input

        option_input(option, {"key": "it", "value": initial_value(option)})

    app = AppTest.from_function(script, kwargs={"option": option}, default_timeout=300).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("option", [o for o in CASES.values() if o.kind in (int, float)], ids=lambda o: o.name)
def test_a_number_can_be_chosen_between_its_limits_and_not_beyond(option: ArchOption) -> None:
    (box,) = draw(option).number_input
    assert (box.min, box.max, box.value) == (option.low, option.high, option.default)
    assert box.step == (1 if option.kind is int else 0.05)


def test_an_option_without_limits_has_none() -> None:
    (box,) = draw(ArchOption("free", float, 0.5, "Any number.", -math.inf, 3.0)).number_input
    assert box.max == 3.0
    assert box.min is None or box.min < -1e300  # Streamlit's own
