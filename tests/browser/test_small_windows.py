"""Pages on a phone and in narrow windows: controls fit a finger, text can be read, nothing covers what has the focus."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import (
    PAD,
    READY,
    Server,
    Visitor,
    becomes,
    click,
    open_context,
    settle,
    train_in,
    until,
)

pytestmark = [pytest.mark.browser, pytest.mark.long]
_PHONE = {"width": 390, "height": 844}
# Our own controls below 24 px (WCAG 2.5.8), all text below 11 px, and what is wider than the window.
_AUDIT = """() => {
  const found = [], elements = [];
  const collect = (root) => root.querySelectorAll("*").forEach((e) => {
    elements.push(e);
    if (e.shadowRoot) collect(e.shadowRoot);
  });
  collect(document);
  const name = (e) => `${e.localName}.${e.getAttribute("class") ?? ""} ${e.getAttribute("aria-label") ?? e.textContent}`
    .slice(0, 80);
  const own = (e) => e.getRootNode() !== document || e.closest(".cl-live");
  const seen = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  for (const e of elements) {
    const box = (e.closest("label") ?? e).getBoundingClientRect();
    if (!box.width || !seen(e)) continue;
    if (own(e) && e.matches("a, button, input, select") && Math.min(box.width, box.height) < 23.9)
      found.push(`${Math.round(box.width)} x ${Math.round(box.height)} px: ${name(e)}`);
    const text = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const size = parseFloat(getComputedStyle(e).fontSize);
    if (text && size < 10.95) found.push(`text of ${size} px: ${name(e)}`);
  }
  const main = document.querySelector('[data-testid="stMain"]');
  for (const page of [document.documentElement, main])
    if (page.scrollWidth > page.clientWidth) found.push(`${page.localName} is ${page.scrollWidth} px wide`);
  return found;
}"""
# What has the focus although a fixed or sticky part of the page is on top of it.
_COVERED = """() => {
  const e = document.activeElement, box = e.getBoundingClientRect();
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  const part = top?.closest('.st-key-train-bar, .st-key-inside-epochs, [data-testid="stHeader"]');
  return part && !part.contains(e) && !e.contains(part) ? e.outerHTML.slice(0, 120) : "";
}"""


@pytest.fixture(scope="module")
def run(idle_server: Server) -> str:
    return train_in(idle_server, lr=0.0057)


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    context = open_context(
        browser, viewport=_PHONE, device_scale_factor=2, is_mobile=True, has_touch=True, reduced_motion="reduce"
    )
    yield context.new_page()
    context.close()


# view: address, and an element that exists once the view is drawn
_VIEWS = {
    "home": ("/", PAD),
    "form": ("/train", "text=Mult-adds"),
    "run": ("/train?run={0}", ".cl-live[data-points]"),
    "layers": ("/architecture", "tbody tr"),
    "network": ("/inside?run={0}", ".map"),
    "answers": ("/inside?run={0}&view=answers", "td button"),
    "gradients": ("/inside?run={0}&view=gradients", ".js-plotly-plot .main-svg"),
    "robustness": ("/inside?run={0}&view=robustness", ".js-plotly-plot .main-svg"),
    "draw": ("/draw?runs={0}", PAD),
}


@pytest.mark.parametrize("view", _VIEWS)
def test_on_a_phone_controls_fit_a_finger_and_text_can_be_read(
    idle_server: Server, run: str, phone: Page, view: str
) -> None:
    address, drawn = _VIEWS[view]
    phone.goto(idle_server.url + address.format(run))
    phone.wait_for_selector(drawn)
    settle(phone)
    becomes(phone, lambda: phone.evaluate(_AUDIT), [])


def test_a_finger_next_to_a_help_icon_opens_the_help(idle_server: Server, phone: Page) -> None:
    phone.goto(f"{idle_server.url}/train")
    icon = phone.get_by_label("Help for Batch size")
    icon.scroll_into_view_if_needed()
    settle(phone)
    box = icon.bounding_box()
    assert box is not None
    phone.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] - 6)
    expect(phone.get_by_text("Images per step.")).to_be_visible()


_INSIDE = """panel => (({ left, right }) => left >= 0 && right <= innerWidth)(panel.getBoundingClientRect())"""


def test_on_a_phone_the_link_to_a_view_fits_into_the_window(idle_server: Server, phone: Page) -> None:
    phone.goto(f"{idle_server.url}/machines")
    click(phone.get_by_role("button", name="Link to this view"))
    panel = phone.get_by_role("dialog", name="Link to this view")
    expect(panel.get_by_text("python -m lab serve --host 0.0.0.0", exact=True)).to_be_visible()
    until(phone, lambda: phone.evaluate(_INSIDE, panel.element_handle()), "a panel inside the window")


def test_on_a_phone_deleted_runs_can_be_restored_without_scrolling(idle_server: Server, phone: Page) -> None:
    unwanted = train_in(idle_server, lr=0.0075, epochs=1)
    phone.goto(f"{idle_server.url}/runs?runs={unwanted}")
    click(phone.get_by_role("button", name="Delete"))
    undo = phone.get_by_role("button", name="Undo")
    expect(undo).to_be_in_viewport()
    click(undo)
    expect(phone.get_by_role("button", name="Delete")).to_be_visible()


@pytest.mark.parametrize(("address", "drawn"), [("/train", "text=Mult-adds"), ("/inside?run={0}", ".map")])
def test_fixed_and_sticky_parts_never_cover_what_has_the_focus(
    idle_server: Server, run: str, visitor: Visitor, address: str, drawn: str
) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 900, "height": 700})
    page.goto(idle_server.url + address.format(run))
    page.wait_for_selector(drawn)
    settle(page)
    for key in ("Tab", "Shift+Tab"):
        for _ in range(40):
            page.keyboard.press(key)
            becomes(page, lambda: page.evaluate(_COVERED), "")


def test_in_a_narrow_window_the_sidebar_closes_after_the_choice_of_a_page(
    idle_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.set_viewport_size({"width": 700, "height": 900})
    visitor.open(f"{idle_server.url}/architecture")
    page.wait_for_selector("body[data-navigation=architecture]", state="attached")
    click(page.get_by_test_id("stExpandSidebarButton"))
    click(page.get_by_test_id("stSidebarNavLink").filter(has_text="Machines"))
    expect(page.get_by_test_id("stSidebar")).to_have_attribute("data-collapsed", "true")
    expect(page.get_by_role("heading", name="Machines")).to_be_visible()


@pytest.mark.parametrize(("address", "below"), [("/", "Or pick a digit"), ("/draw?runs={0}", "Answer while I draw")])
def test_nothing_moves_when_the_pad_appears(
    idle_server: Server, run: str, phone: Page, address: str, below: str
) -> None:
    held: list[Route] = []
    phone.route("**/pad/pad.js", lambda route: held.append(route))
    phone.goto(idle_server.url + address.format(run))
    text = phone.get_by_text(below)
    text.wait_for()
    until(phone, lambda: held, "the request for the pad's script")
    settle(phone)
    before = _top(phone, text)
    held.pop().continue_()
    phone.wait_for_selector(PAD)
    settle(phone)
    assert abs(_top(phone, text) - before) < 2


def _top(page: Page, text: Any) -> float:
    page.wait_for_selector(READY)
    box = text.bounding_box()
    assert box is not None
    return float(box["y"])
