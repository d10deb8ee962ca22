"""What the records of Draw, Inside, Runs and the Train form remember and write to the address.

Tested with small scripts that `AppTest` runs as pages.
"""

from typing import Any

import pytest

from lab.architectures.spec import ArchOption
from pages.state.draw import DrawPage, Game, canvas_key
from pages.state.options import option_text, parse_numbers
from pages.state.runs_view import RunsView, parse_view, search_problem
from tests.web.session_scripts import address_of, first_text, open_script

# -- Draw --------------------------------------------------------------------------------------------------------------


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


def test_the_drawing_stays_in_the_session_and_the_address_has_only_runs_mode_and_view() -> None:
    app = open_script(_drawn, mode="Photo", view="Why", run="cccc", other="x")
    assert first_text(app) == "1 0 [] True ('cccc',)"
    app.button[0].click().run()
    assert address_of(app) == {"runs": "aaaa.bbbb", "mode": "Photo", "view": "Why"}
    assert first_text(app) == "2 0 [] True ('aaaa', 'bbbb')"
    app.button[1].click().run()
    assert address_of(app) == {"mode": "Photo", "view": "Why"}
    app.button[2].click().run()
    assert first_text(app) == "4 1 [] True ()"


def test_clearing_empties_both_pads_and_starts_a_new_version() -> None:
    page = DrawPage("[[16,1,2]]", 30, 7, {"objects": []}, {"objects": []}, b"png", 4)
    page.clear()
    assert (page.strokes, page.canvas, page.canvas_start, page.png) == ("[]", None, None, b"")
    assert (page.pen, page.answered, page.version) == (30, 7, 5)
    assert (canvas_key(5), canvas_key(6)) == ("draw-canvas-5", "draw-canvas-6")


@pytest.mark.parametrize(("round_", "running"), [(0, False), (1, True), (2, True), (3, False)])
def test_the_game_runs_from_its_first_round_to_its_last(round_: int, running: bool) -> None:
    assert Game(("3", "8"), round_).running is running


# -- Inside ------------------------------------------------------------------------------------------------------------


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


_ALL = {
    "stage": "a",
    "layer": "b",
    "kernel": "c",
    "hand": "d",
    "place": "1",
    "opened": "e",
    "channel": "2",
    "quantity": "dead",
    "distortion": "size",
    "level": "1",
    "against": "f",
}


@pytest.mark.parametrize(
    ("view", "own"),
    [
        ("network", {"stage", "opened", "place"}),
        ("maps", {"layer", "channel"}),
        ("kernels", {"kernel"}),
        ("hand", {"hand", "place"}),
        ("gradients", {"quantity"}),
        ("robustness", {"distortion", "level", "against"}),
        ("why", set()),
        ("map", set()),
    ],
)
def test_only_fields_of_the_view_stay_in_the_address_and_the_rest_is_remembered(view: str, own: set[str]) -> None:
    app = open_script(_views, image="3", **_ALL)
    [button] = [each for each in app.button if each.label == view]
    button.click().run()
    assert address_of(app) == {"image": "3", **{name: _ALL[name] for name in own}}
    assert first_text(app) == "test 3 a b d (1,)"


def test_clicking_a_test_image_writes_it_to_the_address() -> None:
    app = open_script(_views, source="drawing", image="3", stage="a")
    [look] = [each for each in app.button if each.label == "look"]
    look.click().run()
    assert first_text(app).startswith("test 7 a")
    assert address_of(app) == {"image": "7", "stage": "a"}
    [first] = [each for each in app.button if each.label == "first"]
    first.click().run()
    assert address_of(app) == {"stage": "a"}


# -- the Train form ----------------------------------------------------------------------------------------------------


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


def test_an_untouched_form_has_the_defaults() -> None:
    app = open_script(_form)
    assert first_text(app).startswith("lenet5 0.001 5 ")
    assert first_text(app).endswith(" None False")
    assert (app.number_input[0].value, app.text_input[0].value) == (5, "1, 2")
    assert app.number_input[0].proto.id


def test_filling_the_form_sets_a_configuration_and_the_options_of_its_network() -> None:
    app = open_script(_form)
    app.button[0].click().run()
    assert first_text(app).startswith("lenet-bn 0.2 5 {")
    assert "'dropout': 0.3" in first_text(app)
    assert "'widths': [" in first_text(app)
    assert first_text(app).endswith(" p True")
    assert app.text_input[0].value != "1, 2"


def test_form_values_are_in_the_address_with_the_owner_until_the_run_is_left() -> None:
    app = open_script(_form, owner="ann", lr="0.5", nothing="1")
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The address has 'nothing', which this page does not recognise."
    ]
    assert first_text(app).startswith("lenet5 0.5 5 ")
    app.button[2].click().run()
    address = address_of(app)
    assert (address["owner"], address["lr"], address["epochs"], address["dataset"]) == ("ann", "0.5", "9", "digits")
    app.number_input[0].set_value(8).run()
    assert address_of(app)["epochs"] == "8"
    app.button[1].click().run()
    assert "owner" not in address_of(app)


@pytest.mark.parametrize(
    ("value", "text"), [([32, 64], "32, 64"), ([], ""), (0.5, 0.5), (True, True), ("mean", "mean"), ((1, 2), (1, 2))]
)
def test_a_list_option_is_text_in_its_widget(value: Any, text: Any) -> None:
    option = ArchOption("act", str, "mean", "Words.", choices=("mean",))
    assert option_text(option, value) == text


def test_layers_are_lines_in_their_widget_also_if_they_are_wrong() -> None:
    option = ArchOption("layers", str, "relu", "Words.")
    assert option_text(option, "conv 16 5, relu;  nothing,") == "conv 16 5\nrelu\nnothing\n"


def test_text_that_is_only_partly_a_list_of_numbers_is_returned_unchanged() -> None:
    assert parse_numbers("-3, 4") == [-3, 4]
    assert parse_numbers("3, 4.5, 6") == "3, 4.5, 6"
    assert parse_numbers(" , ") == " , "
    assert parse_numbers("9" * 16) == "9" * 16


# -- the view of Runs --------------------------------------------------------------------------------------------------


def test_an_invalid_search_is_reported_and_not_applied() -> None:
    view, problems = parse_view({"q": "lr:"})
    assert view.q == "lr:"
    assert len(problems) == 1
    assert view.search == ""
    assert RunsView(q="lenet").search == "lenet"
    assert search_problem("lenet") == ""
    assert search_problem("lr:") != ""


def test_retired_parameters_of_older_links_are_ignored_silently() -> None:
    assert parse_view({"clip": "1", "look": "groups"}) == (RunsView(look="groups"), ())


def test_chosen_runs_get_the_first_free_colours_which_are_stored_only_if_out_of_order() -> None:
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


def test_a_part_of_the_view_changed_elsewhere_gets_a_new_widget_and_three_are_remembered() -> None:
    app = open_script(_numbered)
    assert first_text(app) == "{0: 'curves'} runs.table.0.aaaa"
    looks = ["groups", "verdict", "tree", "pareto"]
    for number, look in enumerate(looks, start=1):
        [button] = [each for each in app.button if each.label == look]
        button.click().run()
        assert app.selectbox[0].value == look
        assert app.selectbox[0].key == f"runs.look.{number}"
    assert first_text(app) == "{2: 'verdict', 3: 'tree', 4: 'pareto'} runs.table.0.aaaa"
    app.selectbox[0].set_value("groups").run()  # changed by its own widget, which stays
    assert first_text(app) == "{2: 'verdict', 3: 'tree', 4: 'groups'} runs.table.0.aaaa"
    [renew] = [each for each in app.button if each.label == "renew"]
    renew.click().run()
    assert first_text(app).endswith(" runs.table.1.aaaa")
