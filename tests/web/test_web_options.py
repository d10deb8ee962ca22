"""Inputs of a network's options start with the default and send every number, for the check to refuse."""

import pytest
from streamlit.testing.v1 import AppTest

from lab.architectures.registry import list_architectures
from lab.architectures.spec import ArchOption

CASES = {
    (option.name, option.kind, option.low, option.high): option for a in list_architectures() for option in a.options
}


def draw(option: ArchOption) -> AppTest:
    def script(option) -> None:  # AppTest runs its source, without the names of this module
        from pages.widgets.options import initial_value, option_input

        option_input(option, {"key": "it", "value": initial_value(option)})

    app = AppTest.from_function(script, kwargs={"option": option}, default_timeout=300).run()
    assert not app.exception
    return app


@pytest.mark.parametrize("option", [o for o in CASES.values() if o.kind in (int, float)], ids=lambda o: o.name)
def test_number_inputs_have_no_browser_limits_and_start_with_the_default(option: ArchOption) -> None:
    (box,) = draw(option).number_input
    assert (box.proto.has_min, box.proto.has_max, box.value) == (False, False, option.default)
    assert box.step == (1 if option.kind is int else 0.05)
