"""Navigation and addresses in a real Chromium: links to the open page, unknown addresses, reloads, theme changes."""

import urllib.error
import urllib.request

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, becomes, click, press_key, train_in, type_into, until

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture(scope="module")
def server(idle_server: Server) -> Server:
    """A lab in which nothing trains."""
    return idle_server


@pytest.fixture(scope="module")
def run(server: Server) -> str:
    """The id of a finished run."""
    return train_in(server, seed=4711)


def _search(visitor: Visitor) -> str:
    return str(visitor.page.evaluate("location.pathname + location.search"))


def _navigate(visitor: Visitor, name: str) -> None:
    visitor.page.locator(f"body[data-navigation='{name.lower()}']").wait_for(state="attached")
    click(visitor.page.get_by_test_id("stSidebarNavLink").filter(has_text=name))


def test_train_in_the_navigation_leads_from_a_run_to_the_form(server: Server, run: str, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/train?run={run}")
    expect(visitor.page.get_by_role("button", name="More")).to_be_visible()
    _navigate(visitor, "Train")
    expect(visitor.page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
    expect(visitor.page.get_by_role("button", name="More")).to_have_count(0)
    becomes(visitor.page, lambda: _search(visitor), "/train")


@pytest.mark.parametrize(
    ("page", "address"),
    [("Runs", "/runs?q=state:finished&sort=name"), ("Train", "/train?run=nobody"), ("Inside", "/inside?run=nobody")],
)
def test_the_navigation_link_of_the_open_page_leads_to_its_start(
    server: Server, run: str, visitor: Visitor, page: str, address: str
) -> None:
    visitor.open(server.url + address)
    expect(visitor.page.get_by_role("heading", level=1, name=page)).to_be_visible()
    _navigate(visitor, page)
    start = f"/{page.lower()}"
    until(visitor.page, lambda: _search(visitor).split("?run=")[0] == start, "the start of the page")
    expect(visitor.page.get_by_text("There is no run")).to_have_count(0)


def test_an_unknown_address_is_a_404_with_links(server: Server, visitor: Visitor) -> None:
    for path, hint in (("/nosuchpage", ""), ("/trian", "Did you mean Train?"), ("/runs/x", "Did you mean Runs?")):
        visitor.page.goto(server.url + path)
        expect(visitor.page.get_by_role("heading", name="Page not found")).to_be_visible()
        expect(visitor.page.get_by_text(f"ConvLab has no page {path}.")).to_contain_text(hint)
    click(visitor.page.get_by_role("navigation").get_by_role("link", name="Runs"))
    expect(visitor.page.get_by_role("heading", level=1, name="Runs")).to_be_visible()
    visitor.errors[:] = [line for line in visitor.errors if "404" not in line]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{server.url}/nosuchpage", timeout=60)


def test_a_mistyped_run_id_shows_no_other_run_on_any_page(server: Server, run: str, visitor: Visitor) -> None:
    wrong = run[:-1] + "x"
    for page in ("train", "inside", "draw"):
        visitor.open(f"{server.url}/{page}?run={wrong}")
        expect(visitor.page.get_by_text(f"There is no run '{wrong}': did you mean '{run}'?")).to_be_visible()
        expect(visitor.page.locator(".cl-live, .cl-probs, .cl-card, .pad-paper")).to_have_count(0)
        becomes(visitor.page, lambda: _search(visitor), f"/{page}?run={wrong}")


def test_the_page_is_redrawn_when_the_system_switches_to_the_dark_theme(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    page.emulate_media(color_scheme="light")
    visitor.open(f"{server.url}/")
    logo = page.get_by_test_id("stSidebarLogo").or_(page.get_by_test_id("stHeaderLogo")).first
    before = logo.get_attribute("src")
    page.emulate_media(color_scheme="dark")
    until(page, lambda: logo.get_attribute("src") != before, "the logo for the dark theme")


def test_the_link_to_a_view_is_copied_with_the_keyboard(server: Server, run: str, visitor: Visitor) -> None:
    visitor.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    visitor.open(f"{server.url}/runs?runs={run}")
    press_key(visitor.page.get_by_role("button", name="Link to this view"), "Enter")
    panel = visitor.page.get_by_role("dialog", name="Link to this view")
    expect(panel.get_by_role("textbox")).to_be_focused()
    expect(panel.get_by_text("This address works on this computer only")).to_be_visible()
    visitor.page.keyboard.press("Tab")
    visitor.page.keyboard.press("Enter")
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    becomes(visitor.page, lambda: visitor.page.evaluate("navigator.clipboard.readText()"), visitor.page.url)
    visitor.page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(visitor.page.get_by_role("button", name="Link to this view")).to_be_focused()


def test_the_back_button_returns_to_the_previous_view(server: Server, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/runs")
    click(visitor.page.get_by_text("Reports", exact=True))
    report = visitor.page.get_by_role("heading", name="Seven networks from LeNet to GoogLeNet")
    expect(report).to_be_visible()
    until(visitor.page, lambda: "show=reports" in _search(visitor), "the view in the address")
    visitor.page.go_back()
    expect(report).to_have_count(0)
    becomes(visitor.page, lambda: _search(visitor), "/runs")


def test_a_reload_keeps_the_train_form(server: Server, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/train")
    becomes(visitor.page, lambda: _search(visitor), "/train")
    type_into(visitor.page.get_by_label("Epochs", exact=True), "7")
    until(visitor.page, lambda: "epochs=7" in _search(visitor), "the changed setting in the address")
    visitor.page.reload()
    visitor.settle()
    expect(visitor.page.get_by_label("Epochs", exact=True)).to_have_value("7")
