"""Values in an address: limits are inclusive, and a message quotes only the beginning of a long invalid value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lab.errors import InputError
from pages.state.architecture import ARCHITECTURE
from pages.state.codec import (
    decode,
    defaults_of,
    encode,
    one_of,
    param,
    params_of,
    several_of,
    switch,
    unknown,
    whole,
    whole_number,
    wrong,
)
from pages.state.inside import place_in


def test_the_limits_of_a_number_in_an_address_are_inclusive() -> None:
    read = whole(-1, 1_000)
    assert [read(text) for text in ("-1", "0", "1000")] == [-1, 0, 1_000]


@pytest.mark.parametrize("text", ["-2", "1001", "1e3", "1.0", "", "²", "9" * 25])
def test_a_number_outside_its_limits_is_refused_and_the_limits_are_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a whole number from -1 to 1,000$"):
        whole(-1, 1_000)(text)


def test_a_whole_number_has_at_most_fifteen_digits() -> None:
    assert (whole_number("9" * 15), whole_number("9" * 16)) == (999_999_999_999_999, None)


@pytest.mark.parametrize("text", ["", "yes", "true", "2", "01"])
def test_a_switch_is_0_or_1(text: str) -> None:
    assert (switch("1"), switch("0")) == (True, False)
    with pytest.raises(ValueError, match=r"^0 or 1$"):
        switch(text)


def test_a_list_of_names_is_read_in_its_order_without_duplicates() -> None:
    assert several_of(("a", "b", "c"))("c.a,c.b.a") == ("c", "a", "b")


def test_every_name_is_refused_if_there_is_nothing_to_choose_from() -> None:
    with pytest.raises(ValueError, match=r"^left out, because there is nothing to choose from$"):
        one_of(())("features")


def test_a_message_quotes_only_the_beginning_of_a_long_text() -> None:
    long = "x" * 5_000
    assert wrong("q", long, "short") == f"The address has q={'x' * 39 + '…'!r}, but it must be short."
    assert unknown(long, ("q",)) == f"The address has {'x' * 39 + '…'!r}, which this page does not recognise."
    assert wrong("q", "x" * 40, "short") == f"The address has q={'x' * 40!r}, but it must be short."


def test_no_full_stop_is_added_to_a_rule_that_ends_in_a_question() -> None:
    with pytest.raises(ValueError, match=r"one of curves, groups: did you mean .groups.") as refused:
        one_of(("curves", "groups"))("group")
    assert wrong("look", "group", str(refused.value)).endswith("did you mean 'groups'?")


def _search(text: str) -> str:
    if "?" in text:
        raise InputError(f"The search cannot have {text!r}.")
    return text


@dataclass(frozen=True)
class _Toy:
    names: tuple[str, ...] = param(("a",), several_of(("a", "b", "c")))
    width: int = param(3, whole(0, 9), name="w")
    fold: bool = param(True, switch)
    q: str = param("", _search)
    hidden: int = 5


@pytest.mark.parametrize(
    ("record", "address"),
    [
        (_Toy(), {}),
        (_Toy(hidden=6), {}),
        (_Toy(names=("c", "a")), {"names": "c.a"}),
        (_Toy(width=0, fold=False, q="b"), {"w": "0", "fold": "0", "q": "b"}),
    ],
)
def test_defaults_are_left_out_of_an_address_and_other_values_round_trip(
    record: _Toy, address: Mapping[str, str]
) -> None:
    assert encode(record) == address
    assert decode(_Toy, address) == (_Toy(record.names, record.width, record.fold, record.q), ())


def test_each_invalid_part_of_an_address_is_reported_and_the_others_are_applied() -> None:
    address = {"names": "b.x", "width": "4", "w": "5", "fold": "2", "q": "?", "hidden": "7"}
    assert decode(_Toy, address) == (
        _Toy(names=("b",), width=5),
        (
            "The address has names='b.x', but it must be one of a, b, c.",
            "The address has 'width', which this page does not recognise.",
            "The address has fold='2', but it must be 0 or 1.",
            "The search cannot have '?'.",
            "The address has 'hidden', which this page does not recognise.",
        ),
    )


def test_each_field_in_an_address_has_a_parameter_name_and_a_default() -> None:
    assert {own: each.name for own, each in params_of(_Toy).items()} == {
        "names": "names",
        "width": "w",
        "fold": "fold",
        "q": "q",
    }
    assert defaults_of(_Toy) == {"names": ("a",), "width": 3, "fold": True, "q": ""}


@pytest.mark.parametrize("count", [12, 13])
def test_a_message_lists_up_to_twelve_names(count: int) -> None:
    names = [f"n{number:02d}" for number in range(count)]
    listed = ", ".join(names) if count == 12 else "13 names"
    with pytest.raises(ValueError, match=rf"^one of {listed}$"):
        one_of(lambda: names)("zzzz")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("0", (0,)),
        ("5", (5,)),
        ("6", None),
        ("0.7.8", (0, 7, 8)),
        ("0.8.8", None),
        ("0.7.9", None),
        ("6.0.0", None),
        ("5,7,8", (5, 7, 8)),
        ("1.2", None),
        ("0.0.0.0", None),
        ("-1", None),
        ("", None),
        ("1.x.1", None),
    ],
)
def test_a_place_is_a_map_or_a_map_with_row_and_column(text: str, place: Any) -> None:
    read = place_in((6, 8, 9))
    if place is not None:
        assert read(text) == place
        return
    rule = r"^a map from 0 to 5, or a map, a row up to 7 and a column up to 8 with points between them$"
    with pytest.raises(ValueError, match=rule):
        read(text)


def test_a_widget_key_consists_of_page_field_and_item_and_an_unknown_field_is_refused() -> None:
    assert ARCHITECTURE.widget_key("detail") == "arch.detail"
    assert ARCHITECTURE.widget_key("detail", "lenet5") == "arch.detail.lenet5"
    with pytest.raises(KeyError, match="ArchitectureState has no field 'details'"):
        ARCHITECTURE.widget_key("details")
