"""A page is one package: a toy page, added from outside through public calls, works like the built-in ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from pages.registry import forget_pages, list_pages
from pages.server.not_found import not_found_page
from tests.web.addresses import ENTRY, go_to
from tests.web.web_data import Bench

_SPEC = """
from pages.registry import PageSpec

PAGE = PageSpec(name="toy", title="Toy", icon=":material/toys:", order=99, section="Understand", teaser="A toy page.")
"""
_PAGE = """
from dataclasses import dataclass

import streamlit as st

from pages.state.codec import one_of, param
from pages.state.keys import element
from pages.state.page_state import PageState
from pages.widgets.frame import page_frame


@dataclass(frozen=True, slots=True)
class ToyState:
    colour: str = param("red", one_of(("red", "blue")))
    presses: int = 0


TOY = PageState(ToyState, key="toy")


def press():
    TOY.change(presses=TOY.read().presses + 1)


page_frame("Toy", "Shows that a page is one package.")
TOY.refuse_unknown()
TOY.take("colour")
st.selectbox("Colour", ["red", "blue"], **TOY.widget("colour"))
TOY.show("colour")
st.button("Press", key=element("toy-press"), on_click=press)
st.markdown(f"{TOY.read().colour} {TOY.read().presses}")
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add a page in a separate folder."""
    folder = tmp_path / "pages" / "toy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(_SPEC, encoding="utf-8")
    (folder / "page.py").write_text(_PAGE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget_pages()
    yield
    monkeypatch.undo()
    forget_pages()


def _open(**address: str) -> AppTest:
    app = AppTest.from_file(str(ENTRY), default_timeout=300)
    for name, value in address.items():
        app.query_params[name] = value
    return go_to(app, "toy").run()


def test_a_new_page_is_listed_on_home_and_suggested_for_a_mistyped_address(toy: None, bench: Bench) -> None:
    assert [spec.name for spec in list_pages()][-1] == "toy"
    home = AppTest.from_file(str(ENTRY), default_timeout=300).run()
    assert "A toy page." in [caption.value for caption in home.caption]
    assert 'href="/toy"' in not_found_page("/toi")


def test_a_new_page_stores_its_state_in_the_session_and_in_the_address(toy: None, bench: Bench) -> None:
    app = _open(colour="blue")
    assert not app.exception
    assert app.title[0].value == "Toy"
    assert app.markdown[-1].value == "blue 0"
    app.button(key="toy-press").click().run()
    assert app.markdown[-1].value == "blue 1"
    app.selectbox(key="toy.colour").set_value("red").run()
    assert app.markdown[-1].value == "red 1"
    assert "colour" not in app.query_params


def test_a_new_page_reports_what_is_wrong_with_its_address(toy: None, bench: Bench) -> None:
    app = _open(colour="bleu", shape="round")
    assert [error.value.replace("\\", "") for error in app.error] == [
        "The address has 'shape', which this page does not recognise.",
        "The address has colour='bleu', but it must be one of red, blue: did you mean 'blue'?",
    ]
    assert app.markdown[-1].value == "red 0"


def test_the_toy_page_is_no_longer_listed_after_its_fixture() -> None:
    assert "toy" not in [spec.name for spec in list_pages()]
