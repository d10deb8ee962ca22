"""Tables sort by what they show: cells that are numbers with a text of their own."""

import math

import streamlit as st

from pages.widgets.table import NumberAsText, number_cell, setting_cell, sortable
from tests.golden.page_text import shown_table
from tests.web.addresses import draw_alone

ROWS = [
    {"run": "a", "epoch": NumberAsText(10, "10 of 20"), "lr": NumberAsText(1e-5, "1e-05")},
    {"run": "b", "epoch": NumberAsText(9, "9 of 20"), "lr": NumberAsText(0.1, "0.1")},
    {"run": "c", "epoch": None, "lr": NumberAsText(0.02, "0.02")},
]


def test_a_column_of_numbers_is_sorted_by_them_and_shows_their_texts() -> None:
    (table,) = draw_alone(lambda: st.dataframe(sortable(ROWS))).dataframe
    assert table.value["epoch"].tolist()[:2] == [10.0, 9.0]
    assert math.isnan(table.value["epoch"].iloc[2])
    assert table.value["lr"].tolist() == [1e-5, 0.1, 0.02]
    shown = shown_table(table)
    assert shown["epoch"].tolist()[:2] == ["10 of 20", "9 of 20"]
    assert shown["lr"].tolist() == ["1e-05", "0.1", "0.02"]
    assert shown["run"].tolist() == ["a", "b", "c"]


def test_a_number_is_that_with_which_its_text_begins_since_screen_readers_read_the_number() -> None:
    texts = {
        0.984217: "98.42 ± 0.11 % (n = 5)",
        1821.58: "1,821.6",
        -0.11281: "-11.28",
        2.0: "\u22122 px",
        1e-7: "1e-07",
    }
    assert [NumberAsText(*each) for each in texts.items()] == [98.42, 1821.6, -11.28, -2.0, 1e-7]
    assert NumberAsText(3e-5, "< 0.0001") == 3e-5


def test_a_column_with_words_among_its_numbers_is_one_of_text() -> None:
    (table,) = draw_alone(
        lambda: st.dataframe(sortable([{"size": "auto"}, {"size": NumberAsText(32, "32")}]))
    ).dataframe
    assert table.value["size"].tolist() == ["auto", "32"]


def test_a_whole_number_next_to_a_missing_one_is_shown_without_a_decimal_point() -> None:
    rows = [{"n": 2, "lr": NumberAsText(0.1, "0.1")}, {"lr": NumberAsText(0.2, "0.2")}]
    (table,) = draw_alone(lambda: st.dataframe(sortable(rows))).dataframe
    assert shown_table(table)["n"].tolist()[0] == "2"


def test_only_numbers_are_sorted_as_numbers() -> None:
    number = number_cell(3, "three")
    assert isinstance(number, NumberAsText)
    assert (number, number.text) == (3.0, "three")
    assert number_cell(None, "–") is None
    assert number_cell(True, "yes") == "yes"
    assert number_cell("adam", "Adam") == "Adam"


def test_no_limit_is_sorted_after_every_limit() -> None:
    everything = setting_cell("train_limit", 0, "all")
    assert isinstance(everything, NumberAsText)
    assert (everything, everything.text) == (math.inf, "all")
    assert setting_cell("momentum", 0, "0") == 0.0
