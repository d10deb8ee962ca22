"""What a session remembers beside a page's record, and what a form and its link say, tried on small scripts that Streamlit runs."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from pages.state.draw import DrawPage, Game, canvas_key
from pages.state.keys import element
from pages.state.page_state import is_offered
from pages.state.runs_view import RunsView, parse_view, search_problem
from pages.state.train import option_text, parse_numbers
from tests.web.addresses import set_address
from tests.web.web_data import Bench


def _open(page: Callable[[], None], /, **query: str) -> AppTest:
    app = AppTest.from_function(page)
    set_address(app, query)
    app.run()
    assert not app.exception, [each.value for each in app.exception]
    return app


def _address(app: AppTest) -> dict[str, str]:
    return {name: app.query_params[name] for name in app.query_params}


def _said(app: AppTest) -> str:
    return app.text[0].value


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
    app = _open(_popover)
    assert _said(app) == "None none None None"
    app.button[0].click().run()
    assert _said(app) == "True True True None"
    app.run()
    assert _said(app) == "True True True None"
    app.button[1].click().run()
    assert _said(app) == "False False False None"
    app.button[0].click().run()  # nothing is left to be closed
    assert _said(app) == "True True True None"
    app.button[2].click().run()
    assert _said(app) == "None none None None"


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
    app = _open(_record)
    assert _said(app) == "1 None 0 None"
    app.button[0].click().run()
    assert (_said(app), app.number_input[0].value) == ("3 json 2 None", 3)
    app.button[1].click().run()
    assert (_said(app), app.number_input[0].value) == ("1 json 2 None", 1)


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
    assert _said(_open(_loaded_again, held=held)) == slots


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
    app = _open(_offered)
    app.text_input[0].set_value("a").run()
    app.text_input[1].set_value("groups").run()
    assert _said(app) == "a groups"
    app.text_input[0].set_value("c").run()
    app.text_input[1].set_value("verdict").run()
    assert _said(app) == "a groups"
    assert [box.value for box in app.text_input] == ["a", "groups"]
    app.text_input[0].set_value("b").run()
    app.text_input[1].set_value("tree").run()
    assert _said(app) == "b tree"


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
    with pytest.raises(ValueError, match="is no name of an element: write small letters with hyphens"):
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
    app = _open(_unknown_parts, view="maps", vieww="maps", image="1")
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The address asks for 'vieww', which this page does not recognise. Did you mean 'view'?"
    ]
    assert [error.icon for error in app.error] == [":material/link_off:"]
    app.button[0].click().run()
    assert (_address(app), list(app.error)) == ({}, [])


def _written() -> None:
    import streamlit as st

    from pages.state.address import address, write_address

    for view in ("maps", "kernels"):
        st.button(view, on_click=write_address, args=({"view": view},))
    st.text(str(address()))


def test_the_address_that_one_page_had_a_moment_ago_is_another_page_s_own() -> None:
    app = _open(_written)
    app._page_hash = "one"
    app.run()
    app.button[0].click().run()
    assert _said(app) == "{'view': 'maps'}"
    set_address(app, {})
    assert app.run().text[0].value == "{'view': 'maps'}"  # on its way when the button was pressed
    app._page_hash = "another"
    set_address(app, {})
    assert app.run().text[0].value == "{}"
    assert _address(app) == {}


def _find() -> None:
    import streamlit as st

    from pages.state.address import find_run

    found, problem = find_run(st.query_params.get("run", ""))
    st.text(f"{found.id if found else None}|{problem}")


def test_a_run_is_found_by_its_id_or_its_absence_is_said(bench: Bench) -> None:
    run = bench.queue()
    assert _said(_open(_find, run=run.id)) == f"{run.id}|"
    assert _said(_open(_find)) == "None|"
    wrong = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
    said = _said(_open(_find, run=wrong))
    assert said.startswith(f"None|There is no run '{wrong}'")
    assert run.id in said  # the one that is close


# -- Draw ----------------------------------------------------------------------------------------------------------------


def _drawn() -> None:
    import streamlit as st

    from pages.state.draw import draw_page, requested_runs, show_runs

    st.button("two", on_click=lambda: show_runs(["aaaa", "bbbb"]))
    st.button("none", on_click=lambda: show_runs(()))
    page = draw_page()
    page.answered += 1
    if st.button("clear"):
        page.clear()
    st.text(f"{page.answered} {page.version} {page.strokes} {draw_page() is page} {requested_runs()}")


def test_the_drawing_is_that_of_the_session_and_the_address_names_runs_mode_and_view_alone() -> None:
    app = _open(_drawn, mode="Photo", view="Why", run="cccc", other="x")
    assert _said(app) == "1 0 [] True ('cccc',)"
    app.button[0].click().run()
    assert _address(app) == {"runs": "aaaa.bbbb", "mode": "Photo", "view": "Why"}
    assert _said(app) == "2 0 [] True ('aaaa', 'bbbb')"
    app.button[1].click().run()
    assert _address(app) == {"mode": "Photo", "view": "Why"}
    app.button[2].click().run()
    assert _said(app) == "4 1 [] True ()"


def test_both_pads_are_emptied_and_begin_anew() -> None:
    page = DrawPage("[[16,1,2]]", 30, 7, {"objects": []}, {"objects": []}, b"png", 4)
    page.clear()
    assert (page.strokes, page.canvas, page.canvas_start, page.png) == ("[]", None, None, b"")
    assert (page.pen, page.answered, page.version) == (30, 7, 5)
    assert (canvas_key(5), canvas_key(6)) == ("draw-canvas-5", "draw-canvas-6")


@pytest.mark.parametrize(("round_", "running"), [(0, False), (1, True), (2, True), (3, False)])
def test_the_game_runs_from_its_first_round_to_its_last(round_: int, running: bool) -> None:
    assert Game(("3", "8"), round_).running is running


# -- Inside --------------------------------------------------------------------------------------------------------------


def _views() -> None:
    import streamlit as st

    from pages.state.inside import INSIDE, VIEWS, leave_other_views, look_at

    for name in ("source", "image", "stage", "layer", "hand", "place"):
        INSIDE.take(name)
    for view in VIEWS:
        st.button(view, on_click=leave_other_views, args=(view,))
    st.button("look", on_click=look_at, args=(7,))
    st.button("first", on_click=look_at, args=(0,))
    page = INSIDE.read()
    st.text(f"{page.source} {page.image} {page.stage} {page.layer} {page.hand} {page.place}")


_ALL = {"stage": "a", "layer": "b", "kernel": "c", "hand": "d", "place": "1", "opened": "e", "channel": "2"}


@pytest.mark.parametrize(
    ("view", "own"),
    [
        ("network", {"stage", "opened", "place"}),
        ("maps", {"layer", "channel"}),
        ("kernels", {"kernel"}),
        ("hand", {"hand", "place"}),
        ("why", set()),
        ("map", set()),
    ],
)
def test_only_what_belongs_to_the_view_stays_in_the_address_and_the_rest_is_remembered(
    view: str, own: set[str]
) -> None:
    app = _open(_views, image="3", **_ALL)
    [button] = [each for each in app.button if each.label == view]
    button.click().run()
    assert _address(app) == {"image": "3", **{name: _ALL[name] for name in own}}
    assert _said(app) == "test 3 a b d (1,)"


def test_a_test_image_that_is_clicked_is_the_one_in_the_address() -> None:
    app = _open(_views, source="drawing", image="3", stage="a")
    [look] = [each for each in app.button if each.label == "look"]
    look.click().run()
    assert _said(app).startswith("test 7 a")
    assert _address(app) == {"image": "7", "stage": "a"}
    [first] = [each for each in app.button if each.label == "first"]
    first.click().run()
    assert _address(app) == {"stage": "a"}


# -- the Train form ------------------------------------------------------------------------------------------------------


def _form() -> None:
    import streamlit as st

    from lab.config import RunConfig
    from pages.state.train import (
        TRAIN,
        complain_of_link,
        fill_form,
        form_value,
        form_values,
        form_widget,
        leave_run,
        option_widget,
        refuse_unknown_settings,
        set_field,
        show_link,
        take_link,
    )

    fresh = RunConfig(dataset="digits")
    refuse_unknown_settings()
    if st.button("fill"):
        fill_form(RunConfig(dataset="digits", arch="lenet-bn", lr=0.2, arch_options={"dropout": 0.3}), preset="p")
    if st.button("leave"):
        leave_run()
    take_link(fresh)
    st.number_input("epochs", 1, 99, **form_widget("epochs"))
    st.button("nine", on_click=lambda: set_field("epochs", 9))
    st.text_input("widths", **option_widget("lenet-bn", "widths", default="1, 2"))
    values = form_values()
    options = values["arch_options"]
    if st.query_params.get("show", "") != "no":
        show_link(RunConfig.from_dict({**RunConfig(dataset="digits").as_dict(), **values}), fresh)
    complain_of_link()
    page = TRAIN.read()
    st.text(f"{values['arch']} {values['lr']} {form_value('epochs')} {options} {page.preset} {page.ready}")


def test_a_form_that_nobody_filled_has_the_defaults() -> None:
    app = _open(_form)
    assert _said(app).startswith("lenet5 0.001 5 ")
    assert _said(app).endswith(" None False")
    assert (app.number_input[0].value, app.text_input[0].value) == (5, "1, 2")
    assert app.number_input[0].proto.id


def test_a_form_is_filled_with_a_configuration_and_the_options_of_its_network_the_others_as_usual() -> None:
    app = _open(_form)
    app.button[0].click().run()
    assert _said(app).startswith("lenet-bn 0.2 5 {")
    assert "'dropout': 0.3" in _said(app)
    assert "'widths': [" in _said(app)
    assert _said(app).endswith(" p True")
    assert app.text_input[0].value != "1, 2"


def test_what_is_entered_stands_in_the_address_beside_who_asks_and_is_forgotten_with_the_run() -> None:
    app = _open(_form, owner="ann", lr="0.5", nothing="1")
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The address asks for 'nothing', which this page does not recognise."
    ]
    assert _said(app).startswith("lenet5 0.5 5 ")
    app.button[2].click().run()
    address = _address(app)
    assert (address["owner"], address["lr"], address["epochs"], address["dataset"]) == ("ann", "0.5", "9", "digits")
    app.number_input[0].set_value(8).run()
    assert _address(app)["epochs"] == "8"
    app.button[1].click().run()
    assert "owner" not in _address(app)


@pytest.mark.parametrize(
    ("value", "text"), [([32, 64], "32, 64"), ([], ""), (0.5, 0.5), (True, True), ("mean", "mean"), ((1, 2), (1, 2))]
)
def test_an_option_of_a_list_is_text_in_its_widget(value: Any, text: Any) -> None:
    assert option_text(value) == text


def test_text_that_is_only_in_part_a_list_of_numbers_comes_back_whole() -> None:
    assert parse_numbers("-3, 4") == [-3, 4]
    assert parse_numbers("3, 4.5, 6") == "3, 4.5, 6"
    assert parse_numbers(" , ") == " , "
    assert parse_numbers("9" * 16) == "9" * 16


# -- the view of Runs ----------------------------------------------------------------------------------------------------


def test_a_search_that_cannot_be_read_is_named_and_searches_nothing() -> None:
    view, problems = parse_view({"q": "lr:"})
    assert view.q == "lr:"
    assert len(problems) == 1
    assert view.search == ""
    assert RunsView(q="lenet").search == "lenet"
    assert search_problem("lenet") == ""
    assert search_problem("lr:") != ""


def test_what_older_links_have_and_is_the_default_now_is_passed_over_without_a_word() -> None:
    assert parse_view({"clip": "1", "look": "groups"}) == (RunsView(look="groups"), ())


def test_chosen_runs_have_the_first_free_colours_and_colours_that_are_simply_in_order_are_not_written() -> None:
    three = RunsView().choose(["aaaa", "bbbb", "cccc"])
    assert (three.runs, three.colours) == (("aaaa", "bbbb", "cccc"), ())
    two = three.choose(["cccc", "aaaa"])
    assert (two.runs, two.colours, two.slots) == (("cccc", "aaaa"), (2, 0), {"cccc": 2, "aaaa": 0})
    again = two.choose(["cccc", "aaaa", "dddd"])
    assert again.slots == {"cccc": 2, "aaaa": 0, "dddd": 1}
    assert RunsView(look="groups").choose(["aaaa"]).look == "groups"


def _numbered() -> None:
    import streamlit as st

    from pages.state.runs import RUNS, bind, change_view, read_view, renew_table, table_key

    view, _ = read_view()
    for look in ("groups", "verdict", "tree", "pareto", "curves"):
        st.button(look, on_click=lambda look=look: change_view(look=look))
    st.button("renew", on_click=renew_table)
    st.selectbox("look", ["curves", "groups", "verdict", "tree", "pareto"], **bind("look", view.look))
    shows = dict(RUNS.read().shows["look"])
    st.text(f"{shows} {table_key(['aaaa'])}")


def test_a_part_of_the_view_that_something_else_changes_has_another_widget_and_three_are_remembered() -> None:
    app = _open(_numbered)
    assert _said(app) == "{0: 'curves'} runs.table.0.aaaa"
    looks = ["groups", "verdict", "tree", "pareto"]
    for number, look in enumerate(looks, start=1):
        [button] = [each for each in app.button if each.label == look]
        button.click().run()
        assert app.selectbox[0].value == look
        assert app.selectbox[0].key == f"runs.look.{number}"
    assert _said(app) == "{2: 'verdict', 3: 'tree', 4: 'pareto'} runs.table.0.aaaa"
    app.selectbox[0].set_value("groups").run()  # by its own widget: that stays
    assert _said(app) == "{2: 'verdict', 3: 'tree', 4: 'groups'} runs.table.0.aaaa"
    [renew] = [each for each in app.button if each.label == "renew"]
    renew.click().run()
    assert _said(app).endswith(" runs.table.1.aaaa")
