"""What a page's record remembers of widgets and the address, tested with small scripts that `AppTest` runs as pages."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lab.config import RunConfig
from pages.state.asking import ASKING
from pages.state.form_address import write_settings
from pages.state.runs_view import MAX_RUNS, parse_view
from tests.web.addresses import set_address, set_state


def _open(page: Callable[[], None], /, **query: str) -> AppTest:
    app = AppTest.from_function(page)
    set_address(app, query)
    app.run()
    assert not app.exception
    return app


def _address(app: AppTest) -> dict[str, str]:
    return {name: app.query_params[name] for name in app.query_params}


def _by_network() -> None:
    import streamlit as st

    from pages.state.architecture import ARCHITECTURE

    for arch in ("lenet5", "vgg11"):
        st.text_input(arch, **ARCHITECTURE.widget("detail", item=arch, default="blocks"))


def test_each_item_of_a_field_has_its_own_widget_and_the_default_until_it_is_changed() -> None:
    app = _open(_by_network)
    assert [box.value for box in app.text_input] == ["blocks", "blocks"]
    app.text_input[0].set_value("layers").run()
    app.text_input[1].set_value("modules").run()
    assert [box.value for box in app.text_input] == ["layers", "modules"]
    assert app.session_state["arch.state"].detail == {"lenet5": "layers", "vgg11": "modules"}


def _with_dependent_field() -> None:
    import streamlit as st

    from pages.state.inside import INSIDE, VIEWS
    from pages.state.session import flash, take_flash

    INSIDE.take("view")
    INSIDE.take("stage")
    st.text(take_flash())
    st.selectbox("view", list(VIEWS), **INSIDE.widget("view", leave=("stage",), then=lambda: flash("changed")))
    INSIDE.show("view")
    st.text(INSIDE.read().stage)


def test_a_changed_choice_removes_dependent_parameters_and_flashes_a_message_once() -> None:
    app = _open(_with_dependent_field, view="maps", stage="conv1", source="upload")
    assert [text.value for text in app.text] == ["", "conv1"]
    app.selectbox[0].set_value("kernels").run()
    assert _address(app) == {"view": "kernels", "source": "upload"}
    assert [text.value for text in app.text] == ["changed", "conv1"]
    assert app.run().text[0].value == ""


def _applied_twice() -> None:
    import streamlit as st

    from pages.state.inside import INSIDE

    valid = INSIDE.take("image")
    INSIDE.change(image=INSIDE.read().image + 10)
    st.text(f"{valid} {INSIDE.take('image')} {INSIDE.read().image} {INSIDE.text('image')} {INSIDE.text('epoch')}.")


def test_a_change_made_after_the_address_was_applied_is_not_reverted() -> None:
    app = _open(_applied_twice, image="3")
    assert app.text[0].value == "True True 13 3 ."
    assert app.run().text[0].value == "True True 23 3 ."
    set_address(app, {"image": "5"})
    assert app.run().text[0].value == "True True 15 5 ."


def test_an_invalid_value_is_reported_in_every_run_and_never_applied() -> None:
    app = _open(_applied_twice, image="x")
    for image in (10, 20):
        assert app.text[0].value == f"False False {image} x ."
        assert len(app.error) == 2
        app.run()


def _with_fewer_choices() -> None:
    import streamlit as st

    from pages.state.codec import whole
    from pages.state.inside import INSIDE

    INSIDE.take("image", read=whole(0, int(st.query_params.get("count", "9"))))
    st.number_input("image", 0, 9, **INSIDE.widget("image"))
    INSIDE.show("image")


def test_a_value_that_was_valid_when_applied_stays_valid_with_fewer_choices() -> None:
    app = _open(_with_fewer_choices, image="7")
    set_address(app, {"image": "7", "count": "5"})
    app.run()
    assert (app.number_input[0].value, len(app.error)) == (7, 0)
    set_address(app, {"image": "8", "count": "5"})
    app.run()
    assert (app.number_input[0].value, len(app.error)) == (7, 1)
    app.number_input[0].set_value(4).run()
    assert (_address(app)["image"], len(app.error)) == ("4", 0)


def _runs() -> None:
    import streamlit as st

    from pages.state.runs import RUNS, bind, forget_view, page_picker, read_view
    from pages.state.runs_view import LOOKS

    if st.query_params.get("q") == "forget":
        st.query_params.clear()
        forget_view()
    view, _ = read_view()
    st.text_input("q", **bind("q", view.q))
    st.selectbox("sort", ["-created", "name"], **bind("sort", view.sort))
    st.selectbox("look", list(LOOKS), **bind("look", view.look))
    st.multiselect("runs", ["aaaa", "bbbb", "cccc"], **bind("runs", view.runs))
    st.number_input("page", 1, 9, **page_picker(view.page, 9))
    st.text(f"{view.page} {view.slots} {RUNS.read().table}")


def test_a_new_search_or_order_starts_at_the_first_page_but_another_look_does_not() -> None:
    app = _open(_runs, page="3", runs="aaaa.bbbb")
    app.selectbox[1].set_value("groups").run()
    assert _address(app) == {"page": "3", "runs": "aaaa.bbbb", "look": "groups"}
    app.selectbox[0].set_value("name").run()
    assert _address(app) == {"runs": "aaaa.bbbb", "look": "groups", "sort": "name"}
    app.number_input[0].set_value(4).run()
    assert _address(app)["page"] == "4"
    app.text_input[0].set_value("lr:0.1").run()
    assert _address(app) == {"runs": "aaaa.bbbb", "look": "groups", "sort": "name", "q": "lr:0.1"}


def test_runs_that_stay_chosen_keep_their_colours_and_the_table_is_replaced() -> None:
    app = _open(_runs, runs="aaaa.bbbb")
    assert app.text[0].value == "1 {'aaaa': 0, 'bbbb': 1} 0"
    app.multiselect[0].set_value(["bbbb", "cccc"]).run()
    assert app.text[0].value == "1 {'bbbb': 1, 'cccc': 0} 1"
    app.selectbox[1].set_value("groups").run()
    assert app.text[0].value == "1 {'bbbb': 1, 'cccc': 0} 1"


def test_a_forgotten_view_is_not_restored_by_a_bare_address() -> None:
    app = _open(_runs, look="groups", page="2")
    set_address(app, {"q": "forget"})
    app.run()
    assert (_address(app), app.selectbox[1].value, app.text[0].value) == ({}, "curves", "1 {} 1")


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (1, "'x0' cannot be one"),
        (5, "'x0', 'x1', 'x2', 'x3', 'x4' cannot be one"),
        (6, "'x0', 'x1', 'x2', 'x3', 'x4' and others cannot be one"),
    ],
)
def test_at_most_five_invalid_run_ids_of_an_address_are_named(invalid: int, message: str) -> None:
    runs = ".".join(["aaaa", *(f"x{number}" for number in range(invalid)), "example-drawings"])
    view, problems = parse_view({"runs": runs})
    assert view.runs == ("aaaa", "example-drawings")
    assert [problem.rpartition("run ids, and ")[2] for problem in problems] == [f"{message}: the others are shown."]


def test_more_runs_than_colours_are_refused_with_both_numbers() -> None:
    ids = ".".join(f"{number:04x}" for number in range(MAX_RUNS + 1))
    [problem] = parse_view({"runs": ids})[1]
    assert problem.endswith(f"at most {MAX_RUNS} run ids, not {MAX_RUNS + 1}: the first {MAX_RUNS} are shown.")


def test_network_options_are_written_to_the_address_in_alphabetical_order() -> None:
    config = RunConfig(arch="lenet-bn", arch_options={"widths": [6, 16], "dropout": 0.1})
    assert list(write_settings(config, fresh=RunConfig()).items())[-2:] == [
        ("option.dropout", "0.1"),
        ("option.widths", "6.16"),
    ]


def _asking() -> None:
    import streamlit as st

    from pages.state.asking import asking_owner

    st.text(repr(asking_owner()))


@pytest.mark.parametrize(("typed", "owner"), [("", None), ("  ", None), (" ann ", "ann")])
def test_an_owner_name_is_stripped_and_a_blank_one_is_none(typed: str, owner: Any) -> None:
    app = AppTest.from_function(_asking)
    set_state(app, ASKING, owner=typed)
    assert app.run().text[0].value == repr(owner)


def _home_pad() -> None:
    import streamlit as st

    from pages.home.reading import reading_pad
    from pages.state.draw import draw_page
    from pages.state.home import HOME

    reading_pad()
    st.text(f"{HOME.read().sample} {len(draw_page().strokes) > 2} {draw_page().version}")


def test_a_sample_digit_is_drawn_once_per_click() -> None:
    app = _open(_home_pad)
    assert app.text[0].value == "None False 0"
    for times in (1, 2):
        app.pills(key="home.sample").set_value("3").run()
        assert not app.exception
        assert app.text[0].value == f"None True {times}"


def _form() -> None:
    import streamlit as st

    from lab.config import RunConfig
    from pages.state.train import form_values, take_link

    take_link(RunConfig(dataset="digits"))
    values = form_values()
    st.text(" ".join(str(values[name]) for name in ("dataset", "lr", "epochs", "arch")))


def test_a_link_to_the_form_resets_settings_that_it_does_not_mention() -> None:
    app = AppTest.from_function(_form)
    for query, shown in (
        ({"dataset": "digits", "lr": "0.5"}, "digits 0.5 5 lenet5"),
        ({"epochs": "9"}, "digits 0.001 9 lenet5"),
        ({"dataset": "mnist", "arch": "vgg11"}, "mnist 0.001 5 vgg11"),
    ):
        set_address(app, query)
        assert app.run().text[0].value == shown
