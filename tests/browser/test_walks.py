"""Whole tasks in a lab without a worker: across a reload, with the keyboard alone, and on a phone."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from lab.examples.catalogue import EXAMPLES
from tests.browser.conftest import PAD, Server, Visitor, click, draw_digit, start_server, until

pytestmark = pytest.mark.browser
_PHONE = {"width": 390, "height": 844}
_TABS = 60  # presses of Tab within which any element must be reached
_LABELS = (
    "[...document.querySelectorAll('.js-plotly-plot')].map(plot => plot.querySelectorAll('.hoverlayer .legend').length)"
)

# Whether the axes of parallel coordinates run downwards: then their last position is below the first.
_DOWNWARDS = (
    "[...document.querySelectorAll('.js-plotly-plot')].filter(plot => plot.data).map(plot => plot.data[0].y.at(-1) < 0)"
)


@pytest.fixture(scope="module")
def examples_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A lab with the examples and without a worker, so that requested runs stay queued."""
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
    """Return the label or text of the focused element, also inside the shadow roots of components."""
    return str(
        page.evaluate(
            "() => { let at = document.activeElement;"
            " while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;"
            " return at?.hasAttribute?.('data-pad') ? 'pad'"
            " : (at?.getAttribute?.('aria-label') || at?.innerText || '').trim(); }"
        )
    )


def _is_visible(page: Page, element: Locator) -> bool:
    box, window = element.bounding_box(), page.viewport_size
    assert window is not None
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= window["height"]


def test_a_drawing_and_its_undo_history_survive_a_reload(examples_server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{examples_server.url}/draw?view=Why")
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


def test_a_run_is_started_and_stopped_with_the_keyboard_alone(examples_server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{examples_server.url}/train?dataset=digits&epochs=7")
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


def test_a_digit_is_drawn_and_cleared_on_the_draw_page_with_the_keyboard_alone(
    examples_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{examples_server.url}/draw")
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


def test_on_a_phone_the_train_button_and_the_tools_of_the_pad_are_visible(
    examples_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.set_viewport_size(_PHONE)
    visitor.open(f"{examples_server.url}/train?dataset=digits")
    button = page.get_by_role("button", name="Train", exact=True)
    button.wait_for()
    visitor.settle()
    until(page, lambda: _is_visible(page, button), "Train in sight")
    page.get_by_text("Device and engine").scroll_into_view_if_needed()
    until(page, lambda: _is_visible(page, button), "Train in sight")
    visitor.open(f"{examples_server.url}/draw")
    page.wait_for_selector(PAD)
    visitor.settle()
    page.locator(PAD).scroll_into_view_if_needed()
    for name in ("Undo", "Clear"):
        until(
            page,
            lambda name=name: _is_visible(page, page.get_by_role("button", name=name, exact=True)),
            f"{name} next to the pad",
        )
    until(
        page,
        lambda: page.evaluate("document.documentElement.scrollWidth") <= _PHONE["width"],
        "a page as wide as the window",
    )


@pytest.mark.long
def test_on_a_phone_results_need_no_scrolling_and_parallel_axes_are_horizontal(
    examples_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.set_viewport_size(_PHONE)
    visitor.open(f"{examples_server.url}/train?run={EXAMPLES[0].id}")
    page.locator(".cl-facts dd").first.wait_for()
    until(page, lambda: _is_visible(page, page.locator(".cl-facts")), "the results without scrolling")
    visitor.press("More")
    expect(page.get_by_role("button", name="New training")).to_be_visible()
    # These two differ in so few settings that their axes fit into a window of 1440 pixels.
    visitor.open(f"{examples_server.url}/runs?runs={EXAMPLES[1].id}.{EXAMPLES[2].id}&look=parallel")
    until(page, lambda: page.evaluate(_DOWNWARDS) == [True], "axes from left to right")
    page.set_viewport_size({"width": 1440, "height": 900})
    until(page, lambda: page.evaluate(_DOWNWARDS) == [False], "upright axes")


@pytest.mark.long
def test_hovering_over_one_chart_marks_the_same_step_in_the_other(examples_server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{examples_server.url}/runs?runs=example-drawings.example-overfit")
    page.wait_for_selector(".js-plotly-plot .legend")
    visitor.settle()
    chart = page.locator(".js-plotly-plot .nsewdrag").first
    chart.scroll_into_view_if_needed()
    chart.hover()
    until(page, lambda: page.evaluate(_LABELS) == [1, 1], "a label in both charts")
    page.mouse.move(2, 2)
    until(page, lambda: page.evaluate(_LABELS) == [0, 0], "no label")
