"""Two runs on the digits: trained, ticked, compared, and the same picture for whoever gets the link."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from lab.runs.store import RunStore
from tests.browser.conftest import READY, ROOT, Server, Visitor

pytestmark = pytest.mark.browser
_PICTURE = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
  title: plot.layout.title.text.replace(/<.?b>/g, ''), y: plot.layout.yaxis.type,
  lines: plot.data.filter(t => t.showlegend !== false).map(t => [t.name, t.line.color, t.line.dash, t.x.length]),
  last: plot.data.map(t => t.y[t.y.length - 1]),
}))"""


def _train(home: Path, *options: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAB_")}
    environment |= {"LAB_HOME": str(home), "LAB_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    out = subprocess.run(
        [sys.executable, "-m", "lab", "train", "--dataset", "digits", "--epochs", "2", "--json", *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    answer = json.loads(out.stdout)
    assert answer["state"] == "finished"
    return str(answer["run"])


def _settle(page: Page) -> None:
    page.wait_for_timeout(300)
    page.wait_for_selector(READY, timeout=60_000)


def _becomes(read: Callable[[], str], wanted: str, page: Page) -> None:
    """Wait for up to ten seconds until what is read is what is wanted."""
    for _ in range(100):
        if read() == wanted:
            return
        page.wait_for_timeout(100)


def _picture(page: Page) -> Any:
    page.wait_for_selector(".js-plotly-plot .legend", timeout=60_000)
    _settle(page)
    return page.evaluate(_PICTURE)


def _dots(page: Page) -> list[str]:
    """Return the colours of the chips' dots as #rrggbb."""
    found = page.evaluate(
        """() => [...document.querySelectorAll('.st-key-runs-runs .react-aria-ComboBox [data-tag]')].map(
          chip => getComputedStyle(chip, '::before').backgroundColor.match(/\\d+/g).map(Number))"""
    )
    return ["#" + "".join(f"{part:02x}" for part in colour) for colour in found]


def test_two_runs_are_compared_and_the_link_shows_the_same_picture_in_a_fresh_browser(
    server: Server, visitor: Visitor, browser: Browser
) -> None:
    page = visitor.page
    runs = {_train(server.home, "--lr", lr) for lr in ("0.004", "0.0004")}
    visitor.open(f"{server.url}/runs?q=lr%3A0.004,0.0004")
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    page.wait_for_timeout(1000)  # the grid paints itself after it is there
    box = table.bounding_box()
    assert box is not None
    for row in (1, 2):  # the table is a picture: tick the first cell of both rows
        page.mouse.click(box["x"] + 48, box["y"] + 36 * row + 18)
        _settle(page)
    page.get_by_text("Logarithmic y").click()
    _settle(page)
    address = str(page.evaluate("location.href"))
    assert all(run in address for run in runs)
    assert "logy=1" in address

    seen = _picture(page)
    assert [plot["title"] for plot in seen] == ["Loss", "Accuracy"]
    assert [plot["y"] for plot in seen] == ["log", "linear"]
    assert len(seen[0]["lines"]) == 2
    assert len({(colour, dash) for _, colour, dash, _ in seen[0]["lines"]}) == 2

    context = browser.new_context(viewport={"width": 1440, "height": 900})
    other = context.new_page()
    other.goto(address)
    _settle(other)
    assert _picture(other) == seen
    assert _dots(other) == [colour for _, colour, _, _ in seen[0]["lines"]]  # each chip has its line's colour
    assert {name for name, _, _, _ in seen[0]["lines"]} == {"lr 0.004", "lr 0.0004"}

    other.get_by_label(f"Remove {seen[0]['lines'][0][0]}").click()
    _settle(other)
    assert "colours=1" in str(other.evaluate("location.href"))
    assert _dots(other) == [seen[0]["lines"][1][1]]  # the run that stays keeps its colour
    context.close()


def test_a_link_that_asks_for_nonsense_opens_and_says_so(server: Server, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/runs?look=upside-down&smooth=9&runs=%3Cscript%3E&extra=1")
    warning = visitor.page.get_by_test_id("stAlert").first
    warning.wait_for()
    words = warning.inner_text()
    assert "look='upside-down', but it must be one of curves" in words
    assert "smooth='9', but it must be a number of steps" in words
    assert "asks for 'extra', which this page does not know" in words


def test_what_is_typed_into_the_table_is_kept_and_markup_in_it_is_only_text(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    run = _train(server.home, "--lr", "0.0021")
    hostile = "<img src=x onerror=alert(1)>"
    page.on("dialog", lambda dialog: pytest.fail(f"a name was run as a script: {dialog.message}"))
    visitor.open(f"{server.url}/runs?q=id:{run}&runs={run}")
    table = page.get_by_test_id("stDataFrame").first
    table.wait_for()
    page.wait_for_timeout(1000)
    box = table.bounding_box()
    assert box is not None
    store = RunStore.open(f"sqlite:///{server.home / 'lab.db'}")
    editor = page.locator("#portal textarea")
    for _ in range(10):  # the grid is a picture: it does not say when it takes a double click
        page.mouse.dblclick(box["x"] + 265, box["y"] + 36 + 18)  # the name
        page.wait_for_timeout(500)
        if editor.count():
            break
    editor.fill(hostile)
    editor.press("Enter")
    _becomes(lambda: store.get(run).name, hostile, page)
    assert store.get(run).name == hostile
    _settle(page)
    assert hostile in page.get_by_test_id("stMultiSelect").first.inner_text()
    for look in ("curves", "differences", "groups", "parallel", "pareto"):
        visitor.open(f"{server.url}/runs?runs={run}&look={look}")
        page.wait_for_timeout(500)
        assert page.locator("img[src=x]").count() == 0
