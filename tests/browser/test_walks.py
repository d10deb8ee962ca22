"""Walks through a lab in which nothing is trained: what survives a reload, the keyboard alone, and a phone."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.examples.catalogue import EXAMPLES
from tests.browser.conftest import PAD, Server, Visitor, click, draw_digit, start_server, until

pytestmark = pytest.mark.browser
_PHONE = {"width": 390, "height": 844}
_TABS = 60  # presses of Tab after which what is looked for should have been reached
_LABEL = (
    "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.querySelectorAll('.hoverlayer .legend').length)"
)

# Whether the lines of parallel axes go downwards: then their last place is below the first.
_ALONG = (
    "[...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.data).map(plot => plot.data[0].y.at(-1) < 0)"
)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a lab with the examples and no worker: what is asked for waits."""
    running = start_server(tmp_path_factory.mktemp("walked") / "home", worker=False)
    yield running
    running.stop()


def _tab_to(page: Page, reached: Callable[[], bool]) -> None:
    for _ in range(_TABS):
        if reached():
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"not reached by {_TABS} presses of Tab")


def _focused(page: Page) -> str:
    """Return the words of what has the focus, through the roots of components."""
    return str(
        page.evaluate(
            "() => { let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
            " return at?.hasAttribute?.('data-pad') ? 'pad' : (at?.getAttribute?.('aria-label') || at?.innerText || '').trim(); }"
        )
    )


def _in_sight(page: Page, place: Locator) -> bool:
    box, window = place.bounding_box(), page.viewport_size
    assert window is not None
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= window["height"]


def test_a_drawing_survives_a_reload_with_what_can_be_undone(walked: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{walked.url}/draw?view=Why")
    page.wait_for_selector(PAD)
    draw_digit(page, "7")
    page.wait_for_selector('[data-answer="7"]')
    visitor.settle()
    page.reload()
    page.wait_for_selector('[data-answer="7"]')
    assert "view=Why" in page.url
    expect(page.get_by_text("From your ink to the network's input")).to_be_visible()
    click(page.get_by_role("button", name="Undo"))
    expect(page.locator("[data-answer]")).to_have_count(0)
    click(page.get_by_role("button", name="Redo"))
    page.wait_for_selector('[data-answer="7"]')


def test_a_run_is_asked_for_and_stopped_with_the_keyboard_alone(walked: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{walked.url}/train?dataset=digits&epochs=7")
    page.get_by_role("button", name="Train", exact=True).wait_for()
    _tab_to(
        page,
        lambda: _focused(page).endswith("Train") and "play_arrow" in page.evaluate("document.activeElement.innerText"),
    )
    page.keyboard.press("Enter")
    page.wait_for_url("**/train?run=*")
    expect(page.get_by_text("queued", exact=True).first).to_be_visible()
    visitor.settle()
    _tab_to(page, lambda: _focused(page).endswith("Stop"))
    page.keyboard.press("Enter")
    expect(page.locator(".stMarkdownBadge", has_text="stopped").first).to_be_visible()


def test_a_digit_is_drawn_and_cleared_on_draw_with_the_keyboard_alone(walked: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{walked.url}/draw")
    page.wait_for_selector(PAD)
    _tab_to(page, lambda: _focused(page) == "pad")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(16):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_selector('[data-answer="1"]')
    _tab_to(page, lambda: _focused(page) == "Clear")
    page.keyboard.press("Enter")
    expect(page.locator("[data-answer]")).to_have_count(0)


def test_on_a_phone_train_is_in_reach_and_the_tools_stand_beside_the_pad(walked: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.set_viewport_size(_PHONE)
    visitor.open(f"{walked.url}/train?dataset=digits")
    button = page.get_by_role("button", name="Train", exact=True)
    button.wait_for()
    visitor.settle()
    until(page, lambda: _in_sight(page, button), "Train in sight")
    page.get_by_text("Device and engine").scroll_into_view_if_needed()
    until(page, lambda: _in_sight(page, button), "Train in sight")
    visitor.open(f"{walked.url}/draw")
    page.wait_for_selector(PAD)
    visitor.settle()
    page.locator(PAD).scroll_into_view_if_needed()
    for name in ("Undo", "Clear"):
        until(
            page,
            lambda name=name: _in_sight(page, page.get_by_role("button", name=name, exact=True)),
            f"{name} beside the pad",
        )
    until(
        page,
        lambda: page.evaluate("document.documentElement.scrollWidth") <= _PHONE["width"],
        "a page as wide as the window",
    )


@pytest.mark.long
def test_on_a_phone_a_run_shows_its_results_at_once_and_parallel_axes_lie_below_each_other(
    walked: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.set_viewport_size(_PHONE)
    visitor.open(f"{walked.url}/train?run={EXAMPLES[0].id}")
    page.locator(".cl-facts dd").first.wait_for()
    until(page, lambda: _in_sight(page, page.locator(".cl-facts")), "the results without scrolling")
    visitor.press("More")
    expect(page.get_by_role("button", name="New training")).to_be_visible()
    # These two differ in so little that their axes have room in a window of 1440 pixels.
    visitor.open(f"{walked.url}/runs?runs={EXAMPLES[1].id}.{EXAMPLES[2].id}&look=parallel")
    until(page, lambda: page.evaluate(_ALONG) == [True], "axes from left to right")
    page.set_viewport_size({"width": 1440, "height": 900})
    until(page, lambda: page.evaluate(_ALONG) == [False], "upright axes")


@pytest.mark.long
def test_resting_on_one_chart_marks_the_same_step_in_the_other(walked: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{walked.url}/runs?runs=example-drawings.example-overfit")
    page.wait_for_selector(".js-plotly-plot .legend")
    visitor.settle()
    chart = page.locator(".js-plotly-plot .nsewdrag").first
    chart.scroll_into_view_if_needed()
    chart.hover()
    until(page, lambda: page.evaluate(_LABEL) == [1, 1], "a label in both charts")
    page.mouse.move(2, 2)
    until(page, lambda: page.evaluate(_LABEL) == [0, 0], "no label")
