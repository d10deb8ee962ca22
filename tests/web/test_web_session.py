"""What a session remembers in addition to a page's record, and what it reports of an address.

Tested with small scripts that `AppTest` runs as pages.
"""

from typing import Any

import pytest

from pages.state.keys import element
from pages.state.page_state import is_offered
from tests.web.addresses import set_address
from tests.web.session_scripts import address_of, first_text, open_script
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


def test_a_popover_is_closed_once_per_request() -> None:
    app = open_script(_popover)
    assert first_text(app) == "None none None None"
    app.button[0].click().run()
    assert first_text(app) == "True True True None"
    app.run()
    assert first_text(app) == "True True True None"
    app.button[1].click().run()
    assert first_text(app) == "False False False None"
    app.button[0].click().run()  # the request was consumed
    assert first_text(app) == "True True True None"
    app.button[2].click().run()
    assert first_text(app) == "None none None None"


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


def test_records_are_independent_and_a_forgotten_one_has_its_defaults_again() -> None:
    app = open_script(_record)
    assert first_text(app) == "1 None 0 None"
    app.button[0].click().run()
    assert (first_text(app), app.number_input[0].value) == ("3 json 2 None", 3)
    app.button[1].click().run()
    assert (first_text(app), app.number_input[0].value) == ("1 json 2 None", 1)


def _reloaded_class() -> None:
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
def test_a_record_is_recognised_by_the_name_of_its_class(held: str, slots: str) -> None:
    assert first_text(open_script(_reloaded_class, held=held)) == slots


@pytest.mark.parametrize(
    ("reported", "offered", "valid"),
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
def test_a_reported_value_is_valid_if_all_of_it_is_offered(reported: Any, offered: Any, valid: bool) -> None:
    assert is_offered(reported, offered) is valid


def _offered() -> None:
    import streamlit as st

    from pages.state.draw import DRAW
    from pages.state.runs import bind, read_view

    view, _ = read_view()
    st.text_input("label", **DRAW.widget("label", offered=("a", "b")))
    st.text_input("look", **bind("look", view.look, offered=("curves", "groups", "tree")))
    st.text(f"{DRAW.read().label} {view.look}")


def test_a_reported_value_that_is_not_offered_is_dropped_and_the_choice_shown_again() -> None:
    app = open_script(_offered)
    app.text_input[0].set_value("a").run()
    app.text_input[1].set_value("groups").run()
    assert first_text(app) == "a groups"
    app.text_input[0].set_value("c").run()
    app.text_input[1].set_value("verdict").run()
    assert first_text(app) == "a groups"
    assert [box.value for box in app.text_input] == ["a", "groups"]
    app.text_input[0].set_value("b").run()
    app.text_input[1].set_value("tree").run()
    assert first_text(app) == "b tree"


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
def test_the_name_of_an_element_is_lower_case_words_with_hyphens(name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid element name: use lower-case words with hyphens"):
        element(name)


# -- the address -------------------------------------------------------------------------------------------------------


def _unknown_parameters() -> None:
    import streamlit as st

    from pages.state.address import clear_address, refuse_parameters
    from pages.state.inside import INSIDE

    INSIDE.refuse_unknown()
    refuse_parameters(["view", "image", "vieww"])
    st.button("clear", on_click=clear_address)


def test_each_unknown_parameter_of_an_address_is_named_with_the_closest_known_one() -> None:
    app = open_script(_unknown_parameters, view="maps", vieww="maps", image="1")
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


def test_an_outdated_address_is_replaced_on_its_own_page_but_not_on_another_page() -> None:
    app = open_script(_written)
    app._page_hash = "one"
    app.run()
    app.button[0].click().run()
    assert first_text(app) == "{'view': 'maps'}"
    set_address(app, {})
    assert app.run().text[0].value == "{'view': 'maps'}"  # sent before the click was handled
    app._page_hash = "another"
    set_address(app, {})
    assert app.run().text[0].value == "{}"
    assert address_of(app) == {}


def _find() -> None:
    import streamlit as st

    from pages.state.address import find_run

    found, problem = find_run(st.query_params.get("run", ""))
    st.text(f"{found.id if found else None}|{problem}")


def test_a_run_is_found_by_its_id_or_reported_as_missing(bench: Bench) -> None:
    run = bench.queue()
    assert first_text(open_script(_find, run=run.id)) == f"{run.id}|"
    assert first_text(open_script(_find)) == "None|"
    unknown = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
    text = first_text(open_script(_find, run=unknown))
    assert text.startswith(f"None|There is no run '{unknown}'")
    assert run.id in text  # the closest id
