"""The drawing pad in an empty page: renders, cleanups and removals by Streamlit neither lose nor duplicate strokes."""

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
  window.sent = [];
  window.render = (data) => {
    const parentElement = document.querySelector("#place");
    window.cleanUp = module.default({ data, parentElement, setStateValue: (_, text) => sent.push(text) });
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
    """A page that contains only the drawing pad."""
    context = open_context(browser)
    page = context.new_page()
    page.route(f"{_ORIGIN}/**", _serve)
    page.goto(_ORIGIN)
    texts = [(_COMPONENTS / "pad" / name).read_text(encoding="utf-8") for name in ("pad.html", "pad.css")]
    page.evaluate(_MOUNT, [*texts, f"{_ORIGIN}/pad/pad.js"])
    yield page
    context.close()


def _render(page: Page, *, answered: int = 0, ink: str = "[]", version: int = 0) -> None:
    page.evaluate(
        "data => render(data)", {"version": version, "ink": ink, "pen": 16, "pens": [4, 40], "answered": answered}
    )


def _stroke(page: Page, y: float) -> None:
    box = page.locator("canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + y)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + y, steps=5)
    page.mouse.up()


def _strokes(page: Page) -> int:
    message = page.evaluate("sent.at(-1)")
    return len(json.loads(message)["strokes"])


def test_the_pad_survives_the_cleanup_of_a_render_call_that_newer_data_superseded(page: Page) -> None:
    _render(page)
    page.evaluate("cleanUp()")  # Streamlit may do this while the script is being imported for the first time
    _stroke(page, 80)
    _render(page, answered=1)  # the first answer arrives
    _stroke(page, 160)
    expect(page.get_by_role("button", name="Undo")).to_be_enabled()
    becomes(page, lambda: _strokes(page), 2)
    numbers = "sent.map((text) => JSON.parse(text).seq)"  # each once: only one pad handles the events of the canvas
    becomes(page, lambda: page.evaluate(f"{numbers}.every((seq, k, all) => !k || all[k - 1] < seq)"), True)
    page.get_by_role("button", name="Undo").click()
    becomes(page, lambda: _strokes(page), 1)
    expect(page.get_by_role("button", name="Redo")).to_be_enabled()


def test_a_pad_that_is_removed_and_added_again_restores_the_servers_drawing(page: Page) -> None:
    _render(page)
    _stroke(page, 80)
    drawn = json.dumps(json.loads(page.evaluate("sent.at(-1)"))["strokes"])
    page.evaluate(
        """() => {
          const place = document.querySelector("#place");
          place.remove();
          cleanUp();
          document.body.append(place);
        }"""
    )
    _render(page, answered=1, ink=drawn)
    page.get_by_role("button", name="Undo").click()  # its undo history is restored
    becomes(page, lambda: _strokes(page), 0)
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.get_by_role("button", name="Redo").click()
    becomes(page, lambda: _strokes(page), 1)
