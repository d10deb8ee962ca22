"""A request sent before the browser received the newest address does not revert a choice; Back and Forward do."""

from collections.abc import Callable
from functools import partial

import pytest
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData
from streamlit.testing.v1 import AppTest, local_script_runner

from tests.web.addresses import set_address


def _inside() -> None:
    import streamlit as st

    from pages.state.inside import INSIDE, SOURCES, VIEWS

    for name, options in (("view", VIEWS), ("source", SOURCES)):
        INSIDE.take(name)
        st.selectbox(name, list(options), **INSIDE.widget(name))
        INSIDE.show(name)


def _changed_by_a_button() -> None:
    import streamlit as st

    from pages.state.inside import INSIDE, VIEWS

    INSIDE.take("view")
    if st.button("kernels"):
        INSIDE.change(view="kernels")
    INSIDE.take("view")
    st.selectbox("view", list(VIEWS), **INSIDE.widget("view"))
    INSIDE.show("view")


def _changed_by_two_buttons() -> None:
    from functools import partial

    import streamlit as st

    from pages.state.inside import INSIDE

    INSIDE.take("view")
    if st.button("maps"):
        INSIDE.change(view="maps")
    st.button("kernels", on_click=partial(INSIDE.change, view="kernels"))
    INSIDE.show("view")
    st.text(INSIDE.read().view)


def _runs() -> None:
    import streamlit as st

    from pages.state.runs import bind, read_view
    from pages.state.runs_view import LOOKS, SHOWS

    view, _ = read_view()
    st.selectbox("look", list(LOOKS), **bind("look", view.look))
    st.selectbox("show", list(SHOWS), **bind("show", view.show))


def _draw() -> None:
    import streamlit as st

    from pages.state.draw import DRAW, VIEWS, requested_runs, show_runs

    DRAW.take("view")
    st.selectbox("view", VIEWS, **DRAW.widget("view"))
    DRAW.change(runs=requested_runs() or ("aaaa",))
    chosen = st.multiselect("runs", ("aaaa", "bbbb"), **DRAW.widget("runs", then=lambda: show_runs(DRAW.read().runs)))
    show_runs(chosen)


TWO_CHOICES = [
    (_inside, {"view": "maps"}, {"source": "drawing"}),
    (_runs, {"look": "groups"}, {"show": "reports"}),
    (_draw, {"view": "Why"}, {"runs": "bbbb"}),
]


def _choose(app: AppTest, name: str, value: str) -> None:
    [box] = [each for each in (*app.selectbox, *app.multiselect) if each.label == name]
    box.set_value([value] if name == "runs" else value).run()
    assert not app.exception


def _shown(app: AppTest) -> dict[str, str]:
    return {name: app.query_params[name] for name in app.query_params}


@pytest.mark.parametrize(("page", "first", "second"), TWO_CHOICES, ids=["page state", "runs", "draw"])
def test_a_choice_sent_with_an_outdated_address_does_not_revert_the_choice_before(
    page: Callable[[], None], first: dict[str, str], second: dict[str, str]
) -> None:
    app = AppTest.from_function(page).run()
    fresh = _shown(app)
    [(name, value)], [(other, chosen)] = first.items(), second.items()
    _choose(app, name, value)
    set_address(app, fresh)
    _choose(app, other, chosen)
    assert _shown(app) == fresh | first | second
    assert {box.label: box.value for box in app.selectbox}.items() >= first.items()


def test_an_address_from_two_choices_ago_does_not_revert_a_choice_either() -> None:
    app = AppTest.from_function(_inside).run()
    _choose(app, "view", "maps")
    set_address(app, {})
    _choose(app, "source", "drawing")
    for late in ({}, {"view": "maps"}):
        set_address(app, late)
        app.run()
        assert _shown(app) == {"view": "maps", "source": "drawing"}


def test_an_old_address_that_arrives_after_the_newest_one_is_followed() -> None:
    app = AppTest.from_function(_inside).run()
    _choose(app, "view", "maps")
    _choose(app, "view", "kernels")  # sent with the address of the first choice
    set_address(app, {"view": "maps"})
    app.run()
    assert _shown(app) == {"view": "kernels"}
    app.run()  # the browser has the newest one
    set_address(app, {"view": "maps"})
    app.run()
    assert _shown(app) == {"view": "maps"}


def test_an_address_is_applied_once_and_does_not_undo_a_later_change() -> None:
    app = AppTest.from_function(_changed_by_a_button)
    app.query_params["view"] = "maps"
    assert app.run().selectbox[0].value == "maps"
    app.button[0].click().run()
    assert (app.selectbox[0].value, _shown(app)) == ("kernels", {"view": "kernels"})


@pytest.mark.parametrize(("page", "first", "second"), TWO_CHOICES, ids=["page state", "runs", "draw"])
def test_the_browsers_back_is_followed_at_once(
    page: Callable[[], None], first: dict[str, str], second: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = AppTest.from_function(page).run()
    fresh = _shown(app)
    for name, value in (first | second).items():
        _choose(app, name, value)
    monkeypatch.setattr(local_script_runner, "RerunData", partial(RerunData, is_history_navigation=True))
    set_address(app, fresh | first)
    app.run()
    assert _shown(app) == fresh | first
    monkeypatch.undo()
    [name] = second
    _choose(app, name, second[name])
    assert _shown(app) == fresh | first | second


@pytest.mark.parametrize(
    ("page", "name", "value", "default"), [(_inside, "view", "maps", "network"), (_runs, "look", "groups", "curves")]
)
def test_going_back_to_a_bare_address_restores_the_default(
    page: Callable[[], None], name: str, value: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = AppTest.from_function(page).run()
    _choose(app, name, value)
    app.run()
    assert (_shown(app), app.selectbox[0].value) == ({name: value}, value)
    monkeypatch.setattr(local_script_runner, "RerunData", partial(RerunData, is_history_navigation=True))
    set_address(app, {})
    app.run()
    assert (_shown(app), app.selectbox[0].value) == ({}, default)


def test_a_bare_address_opens_a_page_as_it_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pages.state.address._ON_ITS_WAY_S", 0.0)
    for page, name, value in ((_inside, "view", "maps"), (_runs, "look", "groups")):
        app = AppTest.from_function(page).run()
        _choose(app, name, value)
        set_address(app, {})
        app.run()
        assert (_shown(app), app.selectbox[0].value) == ({name: value}, value)


def test_an_address_written_by_the_page_does_not_revert_a_later_choice() -> None:
    app = AppTest.from_function(_changed_by_two_buttons).run()
    app.button[0].click().run()
    assert (app.text[0].value, _shown(app)) == ("maps", {"view": "maps"})
    app.button[1].click().run()
    assert (app.text[0].value, _shown(app)) == ("kernels", {"view": "kernels"})


def test_an_invalid_value_stays_in_the_address_with_its_error_until_another_is_chosen() -> None:
    app = AppTest.from_function(_inside)
    app.query_params["view"] = "mops"
    app.run()
    for address in ({"view": "mops"}, {"view": "mops", "source": "drawing"}):
        assert _shown(app) == address
        assert app.selectbox[0].value == "network"
        [error] = app.error
        assert "view='mops'" in error.value
        assert "did you mean 'maps'?" in error.value
        _choose(app, "source", "drawing")
    _choose(app, "view", "maps")
    assert (_shown(app), list(app.error)) == ({"view": "maps", "source": "drawing"}, [])


def test_an_address_that_the_page_has_not_just_replaced_is_followed() -> None:
    app = AppTest.from_function(_inside).run()
    _choose(app, "view", "maps")
    set_address(app, {"view": "kernels", "source": "upload"})
    app.run()
    assert {box.label: box.value for box in app.selectbox} == {"view": "kernels", "source": "upload"}


def test_an_address_that_was_replaced_long_ago_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = AppTest.from_function(_inside).run()
    _choose(app, "view", "maps")
    monkeypatch.setattr("pages.state.address._ON_ITS_WAY_S", 0.0)
    set_address(app, {"view": "network"})
    app.run()
    assert app.selectbox[0].value == "network"


def test_the_address_of_an_earlier_choice_is_followed_once_it_cannot_be_in_transit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for transit_s, shown in ((60.0, "kernels"), (0.0, "maps")):
        app = AppTest.from_function(_inside).run()
        _choose(app, "view", "maps")
        _choose(app, "view", "kernels")
        monkeypatch.setattr("pages.state.address._ON_ITS_WAY_S", transit_s)
        set_address(app, {"view": "maps"})
        app.run()
        assert (app.selectbox[0].value, _shown(app)) == (shown, {"view": shown})
