"""What a session remembers beside a page's record, and what it says of an address, tried on small scripts that Streamlit runs."""

from typing import Any

import pytest

from pages.state.keys import element
from pages.state.page_state import is_offered
from tests.web.addresses import set_address
from tests.web.session_scripts import address_of, open_script, said_by
from tests.web.web_data import Bench

# -- session -----------------------------------------------------------------------------------------------------------


def _popover() -> None:
    import streamlit as st

    from pages.state.session import close_popover, forget, put, reported, take_closing, value_of

    if st.button("open"):
        put("box", True)
    st.button("close", on_click=lambda: close_popover("box"))
    if st.button("forget"):
        forget("box")
        forget("box")
    take_closing("box")
    take_closing("other")
    st.text(f"{value_of('box')} {value_of('box', 'none')} {reported('box')} {value_of('other')}")


def test_a_popover_is_closed_once_when_it_was_asked_for_and_not_before() -> None:
    app = open_script(_popover)
    assert said_by(app) == "None none None None"
    app.button[0].click().run()
    assert said_by(app) == "True True True None"
    app.run()
    assert said_by(app) == "True True True None"
    app.button[1].click().run()
    assert said_by(app) == "False False False None"
    app.button[0].click().run()  # nothing is left to be closed
    assert said_by(app) == "True True True None"
    app.button[2].click().run()
    assert said_by(app) == "None none None None"


def _record() -> None:
    import streamlit as st

    from pages.state.machines import MACHINES
    from pages.state.shared import SHARE

    if st.button("change"):
        MACHINES.change(slots=3)
        SHARE.change(format="json", upload=2)
    if st.button("forget"):
        MACHINES.forget()
    st.number_input("slots", 1, 9, **MACHINES.widget("slots"))
    st.text(f"{MACHINES.read().slots} {SHARE.read().format} {SHARE.read().upload} {SHARE.read().several}")


def test_records_are_apart_and_one_begins_with_its_defaults_again() -> None:
    app = open_script(_record)
    assert said_by(app) == "1 None 0 None"
    app.button[0].click().run()
    assert (said_by(app), app.number_input[0].value) == ("3 json 2 None", 3)
    app.button[1].click().run()
    assert (said_by(app), app.number_input[0].value) == ("1 json 2 None", 1)


def _loaded_again() -> None:
    import streamlit as st

    from pages.state.machines import MACHINES, MachinesState

    class Other:
        slots = 9

    again = type("MachinesState", (), {"slots": 5})
    st.session_state[MACHINES.state_key] = {"other": Other(), "again": again(), "own": MachinesState(4)}[
        st.query_params["held"]
    ]
    st.text(str(MACHINES.read().slots))


@pytest.mark.parametrize(("held", "slots"), [("own", "4"), ("again", "5"), ("other", "1")])
def test_a_record_is_told_by_the_name_of_its_class(held: str, slots: str) -> None:
    assert said_by(open_script(_loaded_again, held=held)) == slots


@pytest.mark.parametrize(
    ("reported", "offered", "right"),
    [
        ("a", ("a", "b"), True),
        ("c", ("a", "b"), False),
        (["a", "b"], ("a", "b"), True),
        (("a", "c"), ("a", "b"), False),
        (None, ("a",), True),
        ([], ("a",), True),
        ("anything", None, True),
        ("a", (), False),
    ],
)
def test_a_report_is_right_where_all_of_it_is_offered(reported: Any, offered: Any, right: bool) -> None:
    assert is_offered(reported, offered) is right


def _offered() -> None:
    import streamlit as st

    from pages.state.draw import DRAW
    from pages.state.runs import bind, read_view

    view, _ = read_view()
    st.text_input("label", **DRAW.widget("label", offered=("a", "b")))
    st.text_input("look", **bind("look", view.look, offered=("curves", "groups", "tree")))
    st.text(f"{DRAW.read().label} {view.look}")


def test_a_report_that_is_not_offered_is_dropped_and_the_choice_shown_again() -> None:
    app = open_script(_offered)
    app.text_input[0].set_value("a").run()
    app.text_input[1].set_value("groups").run()
    assert said_by(app) == "a groups"
    app.text_input[0].set_value("c").run()
    app.text_input[1].set_value("verdict").run()
    assert said_by(app) == "a groups"
    assert [box.value for box in app.text_input] == ["a", "groups"]
    app.text_input[0].set_value("b").run()
    app.text_input[1].set_value("tree").run()
    assert said_by(app) == "b tree"


@pytest.mark.parametrize(
    ("name", "ids", "key"),
    [
        ("run", (), "run"),
        ("run-results", ("3f2a",), "run-results-3f2a"),
        ("cell", (3, "a b"), "cell-3-a b"),
    ],
)
def test_the_key_of_an_element_is_its_name_and_its_ids(name: str, ids: tuple[object, ...], key: str) -> None:
    assert element(name, *ids) == key


@pytest.mark.parametrize("name", ["", "Run", "run_results", "run-", "-run", "run--results", "run 2", "run2"])
def test_an_element_has_a_name_of_small_letters_and_hyphens(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid element name: use lower-case words with hyphens"):
        element(name)


# -- the address ---------------------------------------------------------------------------------------------------------


def _unknown_parts() -> None:
    import streamlit as st

    from pages.state.address import clear_address, refuse_parameters
    from pages.state.inside import INSIDE

    INSIDE.refuse_unknown()
    refuse_parameters(["view", "image", "vieww"])
    st.button("clear", on_click=clear_address)


def test_each_part_of_an_address_that_a_page_does_not_know_is_named_with_what_is_close() -> None:
    app = open_script(_unknown_parts, view="maps", vieww="maps", image="1")
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The address has 'vieww', which this page does not recognise. Did you mean 'view'?"
    ]
    assert [error.icon for error in app.error] == [":material/link_off:"]
    app.button[0].click().run()
    assert (address_of(app), list(app.error)) == ({}, [])


def _written() -> None:
    import streamlit as st

    from pages.state.address import address, write_address

    for view in ("maps", "kernels"):
        st.button(view, on_click=write_address, args=({"view": view},))
    st.text(str(address()))


def test_the_address_that_one_page_had_a_moment_ago_is_another_page_s_own() -> None:
    app = open_script(_written)
    app._page_hash = "one"
    app.run()
    app.button[0].click().run()
    assert said_by(app) == "{'view': 'maps'}"
    set_address(app, {})
    assert app.run().text[0].value == "{'view': 'maps'}"  # on its way when the button was pressed
    app._page_hash = "another"
    set_address(app, {})
    assert app.run().text[0].value == "{}"
    assert address_of(app) == {}


def _find() -> None:
    import streamlit as st

    from pages.state.address import find_run

    found, problem = find_run(st.query_params.get("run", ""))
    st.text(f"{found.id if found else None}|{problem}")


def test_a_run_is_found_by_its_id_or_its_absence_is_said(bench: Bench) -> None:
    run = bench.queue()
    assert said_by(open_script(_find, run=run.id)) == f"{run.id}|"
    assert said_by(open_script(_find)) == "None|"
    wrong = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
    said = said_by(open_script(_find, run=wrong))
    assert said.startswith(f"None|There is no run '{wrong}'")
    assert run.id in said  # the one that is close
