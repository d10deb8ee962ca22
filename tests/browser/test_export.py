"""A run leaves the lab by the Runs page as a report that opens without a network, and as a bundle that comes back in."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page

from tests.browser.conftest import Server, Visitor, click, open_context, settle, train_in

pytestmark = [pytest.mark.browser, pytest.mark.long]


def _take_away(page: Page, format: str) -> Download:
    click(page.get_by_role("button", name="Export"))
    click(page.get_by_role("combobox", name="Format"))
    click(page.get_by_role("option", name=format))
    settle(page)
    click(page.get_by_role("button", name="Write the file"))
    button = page.get_by_test_id("stDownloadButton").get_by_role("button").first
    button.wait_for()
    with page.expect_download() as download:
        click(button)
    page.keyboard.press("Escape")
    return download.value


def test_a_run_leaves_as_a_report_and_as_a_bundle_and_comes_back_in(
    still_server: Server, visitor: Visitor, browser: Browser, tmp_path: Path
) -> None:
    run = train_in(still_server, lr=0.002, name="traveller")
    page = visitor.page
    visitor.open(f"{still_server.url}/runs?q=traveller&runs={run}")
    report, bundle = tmp_path / "report.html", tmp_path / "bundle.zip"
    _take_away(page, "Report (one HTML file)").save_as(report)
    _take_away(page, "Bundle (.zip)").save_as(bundle)

    offline = open_context(browser, offline=True)
    paper = offline.new_page()
    said: list[str] = []
    paper.on("console", lambda message: said.append(message.text))
    paper.on("pageerror", lambda error: said.append(str(error)))
    paper.goto(report.as_uri())
    paper.wait_for_selector(".js-plotly-plot .legend")
    assert paper.title() == "traveller – ConvLab"
    assert said == []
    offline.close()

    click(page.get_by_role("button", name="Import"))
    page.locator("input[type=file]").set_input_files(bundle)
    settle(page)
    click(page.get_by_role("button", name="Import the bundle"))
    page.get_by_text("Imported 1 run").wait_for()
    page.get_by_text("2 runs").first.wait_for()  # both are called traveller
