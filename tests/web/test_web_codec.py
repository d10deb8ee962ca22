"""The values that an address may hold: both limits belong to them, and what is refused is repeated only in part."""

import pytest

from pages.state.codec import one_of, several_of, switch, unknown, whole, whole_number, wrong


def test_both_limits_of_a_number_may_stand_in_an_address() -> None:
    read = whole(-1, 1_000)
    assert [read(text) for text in ("-1", "0", "1000")] == [-1, 0, 1_000]


@pytest.mark.parametrize("text", ["-2", "1001", "1e3", "1.0", "", "²", "9" * 25])
def test_a_number_outside_its_limits_is_refused_with_them(text: str) -> None:
    with pytest.raises(ValueError, match=r"^a whole number from -1 to 1,000$"):
        whole(-1, 1_000)(text)


def test_a_number_of_more_digits_than_any_page_has_a_use_for_is_none() -> None:
    assert (whole_number("9" * 15), whole_number("9" * 16)) == (999_999_999_999_999, None)


@pytest.mark.parametrize("text", ["", "yes", "true", "2", "01"])
def test_a_switch_is_0_or_1(text: str) -> None:
    assert (switch("1"), switch("0")) == (True, False)
    with pytest.raises(ValueError, match=r"^0 or 1$"):
        switch(text)


def test_of_several_names_each_is_taken_once_in_its_order() -> None:
    assert several_of(("a", "b", "c"))("c.a,c.b.a") == ("c", "a", "b")


def test_only_the_beginning_of_a_long_text_is_repeated() -> None:
    long = "x" * 5_000
    assert wrong("q", long, "short") == f"The address has q={'x' * 39 + '…'!r}, but it must be short."
    assert unknown(long, ("q",)) == f"The address asks for {'x' * 39 + '…'!r}, which this page does not know."
    assert wrong("q", "x" * 40, "short") == f"The address has q={'x' * 40!r}, but it must be short."


def test_a_rule_that_ends_in_a_question_has_no_full_stop_after_it() -> None:
    with pytest.raises(ValueError, match=r"one of curves, groups: did you mean .groups.") as refused:
        one_of(("curves", "groups"))("group")
    assert wrong("look", "group", str(refused.value)).endswith("did you mean 'groups'?")
