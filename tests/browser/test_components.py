"""Our own components in a bare page: what Streamlit may do to them at any moment loses nothing and doubles nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import becomes, open_context

pytestmark = [pytest.mark.browser, pytest.mark.long]
_COMPONENTS = Path(__file__).parents[2] / "pages" / "components"
_ORIGIN = "http://lab.test"
_MOUNT = """async ([html, css, js]) => {
  const module = await import(js);
  window.told = [];
  window.render = (data) => {
    const parentElement = document.querySelector("#place");
    window.cleanUp = module.default({ data, parentElement, setStateValue: (_, text) => told.push(text) });
  };
  document.body.innerHTML = `<style>${css}</style><div id="place" style="width:300px">${html}</div>`;
}"""


def _serve(route: Route) -> None:
    script = route.request.url.removeprefix(f"{_ORIGIN}/")
    if script.endswith(".js"):
        route.fulfill(path=_COMPONENTS / script, content_type="text/javascript")
    else:
        route.fulfill(body="<!doctype html><title>bare</title>", content_type="text/html")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Return a page that holds nothing but the drawing pad."""
    context = open_context(browser)
    page = context.new_page()
    page.route(f"{_ORIGIN}/**", _serve)
    page.goto(_ORIGIN)
    texts = [(_COMPONENTS / "pad" / name).read_text(encoding="utf-8") for name in ("pad.html", "pad.css")]
    page.evaluate(_MOUNT, [*texts, f"{_ORIGIN}/pad/pad.js"])
    yield page
    context.close()


def _render(page: Page, *, answered: int = 0, ink: str = "[]", version: int = 0) -> None:
    page.evaluate("data => render(data)", {"version": version, "ink": ink, "pen": 16, "answered": answered})


def _stroke(page: Page, y: float) -> None:
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + y, steps=5)
    page.mouse.up()


def _strokes(page: Page) -> int:
    message = page.evaluate("told.at(-1)")
    return len(json.loads(message)["strokes"])


def test_the_pad_outlives_the_clean_up_of_a_call_that_newer_data_overtook(page: Page) -> None:
    _render(page)
    page.evaluate("cleanUp()")  # Streamlit does this while the first import of the script is still under way
    _stroke(page, 80)
    _render(page, answered=1)  # the first answer comes
    _stroke(page, 160)
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    becomes(page, lambda: _strokes(page), 2)
    sent = "told.map((text) => JSON.parse(text).seq)"  # each number once: no two pads are listening on one canvas
    becomes(page, lambda: page.evaluate(f"{sent}.every((seq, k, all) => !k || all[k - 1] < seq)"), True)
    page.get_by_role("button", name="Undo").click()
    becomes(page, lambda: _strokes(page), 1)
    expect(page.get_by_role("button", name="Redo")).to_be_enabled()


def test_a_pad_that_was_taken_out_is_let_go_and_comes_back_with_the_drawing_of_the_server(page: Page) -> None:
    _render(page)
    _stroke(page, 80)
    drawn = json.dumps(json.loads(page.evaluate("told.at(-1)"))["strokes"])
    page.evaluate(
        """() => {
          const place = document.querySelector("#place");
          place.remove();
          cleanUp();
          document.body.append(place);
        }"""
    )
    _render(page, answered=1, ink=drawn)
    page.get_by_role("button", name="Undo").click()  # its history came back with it
    becomes(page, lambda: _strokes(page), 0)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.get_by_role("button", name="Redo").click()
    becomes(page, lambda: _strokes(page), 1)
