"""The Runs page: two runs are trained, selected and compared, and their link opens the same charts elsewhere."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from lab.runs.store import RunStore
from tests.browser.conftest import Server, Visitor, at_rest, becomes, click, open_context, settle, train_in, until

pytestmark = pytest.mark.browser
_CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
  title: plot.layout.title.text.replace(/<.?b>/g, ''), y: plot.layout.yaxis.type,
  lines: plot.data.filter(t => t.showlegend !== false).map(t => [t.name, t.line.color, t.line.dash, t.x.length]),
  last: plot.data.map(t => t.y[t.y.length - 1]),
}))"""


def _grid(page: Page) -> dict[str, float]:
    """Wait until the table, which is a canvas, has been painted and no longer moves; return its bounding box."""
    page.wait_for_selector('[data-testid="data-grid-canvas"] td', state="attached")
    settle(page)
    return at_rest(page.get_by_test_id("stDataFrame").first)


def _select(page: Page, box: dict[str, float], *, column: str) -> None:
    """Select a cell of the table's first row with the keyboard, wherever its column is."""
    page.mouse.click(box["x"] + 120, box["y"] + 36 + 18)
    target = page.locator("[role=columnheader]", has_text=column).first.get_attribute("aria-colindex")
    selected = page.locator("[role=gridcell][aria-selected=true]").first
    for _ in range(20):
        at = selected.get_attribute("aria-colindex")
        if at == target:
            return
        page.keyboard.press("ArrowRight")
        until(page, lambda before=at: selected.get_attribute("aria-colindex") != before, "the next cell selected")  # type: ignore[misc]
    raise AssertionError(f"there is no column {column}")


def _address(page: Page) -> str:
    return str(page.evaluate("location.href"))


def _charts(page: Page) -> Any:
    page.wait_for_selector(".js-plotly-plot .legend")
    settle(page)
    return page.evaluate(_CHARTS)


def _dots(page: Page) -> list[str]:
    """Return the colours of the chips' dots as #rrggbb."""
    found = page.evaluate(
        """() => [...document.querySelectorAll('[class*="st-key-runs-runs"] .react-aria-ComboBox [data-tag]')].map(
          chip => getComputedStyle(chip, '::before').backgroundColor.match(/\\d+/g).map(Number))"""
    )
    return ["#" + "".join(f"{part:02x}" for part in colour) for colour in found]


def test_two_runs_are_compared_and_the_link_shows_the_same_charts_in_a_new_browser(
    idle_server: Server, visitor: Visitor, browser: Browser
) -> None:
    page = visitor.page
    runs = {train_in(idle_server, lr=lr) for lr in (0.004, 0.0004)}
    visitor.open(f"{idle_server.url}/runs?q=lr%3A0.004,0.0004")
    for row in (1, 2):  # tick the first cell of both rows
        box = _grid(page)
        page.mouse.click(box["x"] + 48, box["y"] + 36 * row + 18)
        until(page, lambda row=row: sum(run in _address(page) for run in runs) == row, f"{row} runs in the address")
    # Until the field of the chosen runs has both, the next click would submit its old value as the choice.
    until(page, lambda: len(_dots(page)) == len(runs), "both runs among the chosen ones")
    click(page.get_by_text("Log y"))
    until(page, lambda: "logy=1" in _address(page), "the logarithmic axis in the address")
    becomes(
        page, lambda: [(plot["title"], plot["y"]) for plot in _charts(page)], [("Loss", "log"), ("Accuracy", "linear")]
    )
    becomes(page, lambda: {name for name, *_ in _charts(page)[0]["lines"]}, {"lr 0.004", "lr 0.0004"})
    becomes(page, lambda: len({(colour, dash) for _, colour, dash, _ in _charts(page)[0]["lines"]}), len(runs))
    address = _address(page)

    seen = _charts(page)

    context = open_context(browser, viewport={"width": 1440, "height": 900})
    other = context.new_page()
    other.goto(address)
    until(other, lambda: _charts(other) == seen, "the same charts in another browser")
    becomes(
        other, lambda: _dots(other), [colour for _, colour, _, _ in seen[0]["lines"]]
    )  # each chip has the colour of its line

    click(other.get_by_label(f"Remove {seen[0]['lines'][0][0]}"))
    until(other, lambda: "colours=1" in str(other.evaluate("location.href")), "the colours in the address")
    becomes(other, lambda: _dots(other), [seen[0]["lines"][1][1]])  # the run that stays keeps its colour
    context.close()


def test_a_link_with_invalid_parameters_opens_with_warnings(idle_server: Server, visitor: Visitor) -> None:
    visitor.open(f"{idle_server.url}/runs?look=upside-down&smooth=9&runs=%3Cscript%3E&extra=1")
    warning = visitor.page.get_by_test_id("stAlert").first
    expect(warning).to_contain_text("look='upside-down', but it must be one of curves")
    expect(warning).to_contain_text("smooth='9', but it must be a number of steps")
    expect(warning).to_contain_text("has 'extra', which this page does not recognise")


def test_a_name_typed_into_the_table_is_saved_and_its_markup_is_shown_as_text(
    idle_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    run = train_in(idle_server, lr=0.0021)
    hostile = "<img src=x onerror=alert(1)>"
    page.on("dialog", lambda dialog: pytest.fail(f"a name was run as a script: {dialog.message}"))
    visitor.open(f"{idle_server.url}/runs?q=id:{run}&runs={run}")
    box = _grid(page)
    store = RunStore.open(f"sqlite:///{idle_server.home / 'lab.db'}")
    editor = page.locator("#portal textarea")
    _select(page, box, column="Name")
    page.keyboard.press("Enter")
    editor.fill(hostile)
    editor.press("Enter")
    until(page, lambda: store.runs.get(run).name == hostile, "the name in the store")
    expect(page.get_by_test_id("stMultiSelect").first).to_contain_text(hostile)
    for look in ("curves", "differences", "groups", "verdict", "parallel", "pareto"):
        visitor.open(f"{idle_server.url}/runs?runs={run}&look={look}")
        expect(page.locator("img[src=x]")).to_have_count(0)
