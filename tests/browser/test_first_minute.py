"""A new user's first minute in a real Chromium: without data sets or runs, every page works on the examples."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from lab.examples.catalogue import EXAMPLES
from tests.browser.conftest import PAD, Server, Visitor, click, draw_digit, start_server, until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def new_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A separate lab, in which nothing is ever trained."""
    running = start_server(tmp_path_factory.mktemp("new") / "home", worker=False)
    yield running
    running.stop()


def test_the_hint_to_draw_is_hidden_until_the_pad_accepts_strokes(new_lab: Server, visitor: Visitor) -> None:
    """Its script may load late on a slow machine, and a drawing made before that would be lost."""
    page = visitor.page
    held: list[Route] = []
    page.route("**/pad/pad.js*", lambda route: held.append(route))
    page.goto(new_lab.url)
    page.locator(".pad-paper").wait_for()
    until(page, lambda: held, "a page that asks for the pad's script")
    expect(page.locator(PAD)).to_have_count(0)
    expect(page.locator(".pad-hint")).to_have_css("opacity", "0")
    for route in held:
        route.continue_()
    draw_digit(page, "7")
    page.wait_for_selector('[data-answer="7"]')
    page.unroute_all()


def _maps(page: Page) -> list[str | None]:
    return [picture.get_attribute("src") for picture in page.locator(".cl-flow img").all()]


def test_a_digit_drawn_on_home_is_read_at_once_and_updates_the_feature_maps(new_lab: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(new_lab.url)
    expect(page.locator(".cl-pale")).to_have_count(1)  # the sample digit, pale and without an answer
    expect(page.locator(".cl-flow img")).to_have_count(5)
    sample = _maps(page)
    expect(page.locator("[data-answer]")).to_have_count(0)
    draw_digit(page, "7")
    page.wait_for_selector('[data-answer="7"]')
    until(page, lambda: all(one != other for one, other in zip(_maps(page), sample, strict=True)), "its maps")
    expect(page.locator(".cl-pale")).to_have_count(0)
    seven = _maps(page)
    click(page.get_by_role("button", name="Clear", exact=True))
    expect(page.locator("[data-answer]")).to_have_count(0)
    draw_digit(page, "3")
    page.wait_for_selector('[data-answer="3"]')
    until(page, lambda: all(one != other for one, other in zip(_maps(page), seven, strict=True)), "other maps")


def test_a_first_visit_shows_a_digit_being_drawn_and_classified_until_the_user_draws(
    new_lab: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.emulate_media(reduced_motion="no-preference")
    page.goto(new_lab.url)
    page.locator(".pad.demo").wait_for()
    page.wait_for_selector(
        '[data-answer="3"]:not([role])'
    )  # screen readers announce answers to the user's drawing only
    expect(page.locator(".cl-pale")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_disabled()
    draw_digit(page, "7")  # replaces the sample instead of being drawn over it
    page.wait_for_selector('[data-answer="7"][role="status"]')
    expect(page.locator(".pad.demo")).to_have_count(0)
    click(page.get_by_role("button", name="Clear", exact=True))
    expect(page.locator("[data-answer]")).to_have_count(0)
    visitor.open(new_lab.url)  # in the same tab, it is not drawn again
    page.wait_for_selector(PAD)
    expect(page.locator(".cl-pale")).to_have_count(1)
    expect(page.locator(".pad.demo")).to_have_count(0)


def test_the_drawing_on_home_is_taken_to_draw_where_an_example_reads_it(new_lab: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(new_lab.url)
    draw_digit(page, "2")
    page.wait_for_selector('[data-answer="2"]')
    click(page.get_by_role("link", name="Continue with this drawing"))
    page.wait_for_selector('.cl-line[data-answer="2"]')
    expect(page.locator(".cl-card")).to_have_count(1)
    click(page.get_by_role("button", name="Undo", exact=True))  # the strokes can be undone one by one
    expect(page.locator(".cl-line[data-answer]")).to_have_count(0)
    click(page.get_by_role("button", name="Redo", exact=True))
    page.wait_for_selector('.cl-line[data-answer="2"]')


def test_the_pad_is_drawn_on_with_the_keyboard_alone(new_lab: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(new_lab.url)
    page.wait_for_selector(PAD)
    until(page, lambda: _tabbed_to_pad(page), "the pad reached by Tab")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(16):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    page.wait_for_selector('[data-answer="1"]')
    page.keyboard.press("Control+z")
    expect(page.locator("[data-answer]")).to_have_count(0)


def _tabbed_to_pad(page: Page) -> bool:
    page.keyboard.press("Tab")
    return bool(
        page.evaluate(
            """() => { let at = document.activeElement;
              while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
              return at?.hasAttribute("data-pad") ?? false; }"""
        )
    )


def test_a_sample_digit_is_drawn_and_read(new_lab: Server, visitor: Visitor) -> None:
    visitor.open(new_lab.url)
    draw_digit(visitor.page, "7")
    visitor.page.wait_for_selector('[data-answer="7"]')
    click(visitor.page.get_by_role("radio", name="4", exact=True))
    visitor.page.wait_for_selector('[data-answer="4"]')
    click(visitor.page.get_by_role("button", name="Undo", exact=True))
    visitor.page.wait_for_selector('[data-answer="7"]')


def test_the_pages_work_on_the_examples(new_lab: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{new_lab.url}/runs")
    page.wait_for_selector(".js-plotly-plot")  # the examples are compared until runs are chosen
    click(page.get_by_role("button", name="Compare", exact=True).first)
    until(page, lambda: f"runs={EXAMPLES[0].id}" in page.url, "the example in the address")
    visitor.open(f"{new_lab.url}/inside?run={EXAMPLES[0].id}&view=answers")
    page.get_by_text("ship with the examples").first.wait_for()
    page.locator(".stMarkdownBadge").filter(has_text="example").locator("visible=true").first.wait_for()
    visitor.open(f"{new_lab.url}/train?run={EXAMPLES[2].id}")
    page.locator(".stMarkdownBadge", has_text="diverged").locator("visible=true").first.wait_for()
    page.wait_for_selector(".js-plotly-plot")
    expect(page.get_by_role("button", name="Train again", exact=True)).to_have_count(0)
    expect(page.get_by_role("button", name="Export")).to_have_count(0)


@pytest.mark.long
def test_one_switch_hides_the_examples_on_every_page(new_lab: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{new_lab.url}/runs")
    click(page.get_by_text("Show examples"))
    expect(page.get_by_text(EXAMPLES[1].name)).to_have_count(0)
    visitor.open(new_lab.url)
    page.wait_for_selector(PAD)
    page.get_by_text("No runs yet").wait_for()
    visitor.open(f"{new_lab.url}/inside")
    page.get_by_text("No runs to inspect yet").wait_for()
    visitor.open(f"{new_lab.url}/runs")
    click(page.get_by_text("Show examples"))
    page.get_by_text(EXAMPLES[1].name).first.wait_for()


@pytest.mark.parametrize("width", [390, 1280])
def test_home_fits_a_phone_and_a_desktop(new_lab: Server, visitor: Visitor, width: int) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 844})
    visitor.open(new_lab.url)
    draw_digit(page, "5")
    page.wait_for_selector('[data-answer="5"]')
    until(page, lambda: page.evaluate("document.documentElement.scrollWidth") <= width, "a page as wide as the window")
