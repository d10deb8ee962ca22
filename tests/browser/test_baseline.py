"""The baseline of a run: its settings are changed, the next run is compared with it, and the comparison is ended."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Visitor, becomes, click, type_into, until

pytestmark = pytest.mark.browser
_CURVES = """kind => [...(document.querySelector('[data-chart=loss] .cl-plot')?.data ?? [])]
    .filter(trace => trace.kind === kind && trace.x.length).map(({ line }) => line.color)"""
_GREY = "#8792a0"


def _curves(page: Page, kind: str) -> list[str]:
    """Return the colours of the curves of one kind in the chart of the loss."""
    return list(page.evaluate(_CURVES, kind))


def _parameter(page: Page, name: str) -> str:
    """Return a parameter of the address, "" if it is not there."""
    return str(page.evaluate("name => new URLSearchParams(location.search).get(name) ?? ''", name))


def _trained(visitor: Visitor) -> str:
    """Press Train, wait until the run has ended, and return its id."""
    page = visitor.page
    visitor.press("Train")
    until(page, lambda: _parameter(page, "run"), "a run in the address")
    expect(page.locator(".stMarkdownBadge", has_text="finished").first).to_be_visible()
    visitor.settle()
    return _parameter(page, "run")


def test_the_next_run_is_drawn_in_front_of_the_one_whose_settings_were_changed(
    server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    type_into(page.get_by_label("Epochs", exact=True).first, "2")
    type_into(page.get_by_label("Learning rate", exact=True).first, "0.002")
    first = _trained(visitor)
    until(page, lambda: _curves(page, "smooth"), "its own curve")
    becomes(page, lambda: (_curves(page, "baseline"), _parameter(page, "baseline")), ([], ""))

    visitor.press("Change settings")
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    visitor.settle()
    expect(page.get_by_label("Epochs", exact=True).first).to_have_value("2")
    type_into(page.get_by_label("Learning rate", exact=True).first, "0.02")
    second = _trained(visitor)
    becomes(page, lambda: (_parameter(page, "run"), _parameter(page, "baseline")), (second, first))
    becomes(page, lambda: _curves(page, "baseline"), [_GREY] * 3)  # training, validation and test
    expect(page.get_by_text("Changed since: lr 0.002 → 0.02.")).to_be_visible()

    page.reload()
    visitor.settle()
    becomes(page, lambda: _curves(page, "baseline"), [_GREY] * 3)

    click(page.get_by_role("combobox", name=re.compile("Compare with")))
    click(page.get_by_role("option", name="no other run"))
    becomes(page, lambda: _curves(page, "baseline"), [])
    until(page, lambda: _curves(page, "smooth"), "its own curve")
    becomes(page, lambda: _parameter(page, "baseline"), "")
    expect(page.get_by_text("Changed since")).to_have_count(0)
