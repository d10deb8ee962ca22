"""The Runs page exports a run as a report, which opens offline, and as a bundle, which can be imported again."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Page

from tests.browser.conftest import Server, Visitor, click, open_context, settle, train_in

pytestmark = [pytest.mark.browser, pytest.mark.long]


def _export(page: Page, format: str) -> Download:
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


def test_a_run_is_exported_as_a_report_and_a_bundle_and_imported_again(
    idle_server: Server, visitor: Visitor, browser: Browser, tmp_path: Path
) -> None:
    run = train_in(idle_server, lr=0.002, name="portable")
    page = visitor.page
    visitor.open(f"{idle_server.url}/runs?q=portable&runs={run}")
    report, bundle = tmp_path / "report.html", tmp_path / "bundle.zip"
    _export(page, "Report (one HTML file)").save_as(report)
    _export(page, "Bundle (.zip)").save_as(bundle)

    offline = open_context(browser, offline=True)
    report_page = offline.new_page()
    messages: list[str] = []
    report_page.on("console", lambda message: messages.append(message.text))
    report_page.on("pageerror", lambda error: messages.append(str(error)))
    report_page.goto(report.as_uri())
    report_page.wait_for_selector(".js-plotly-plot .legend")
    assert report_page.title() == "portable – ConvLab"
    assert messages == []
    offline.close()

    click(page.get_by_role("button", name="Import"))
    page.locator("input[type=file]").set_input_files(bundle)
    settle(page)
    click(page.get_by_role("button", name="Import the bundle"))
    page.get_by_text("Imported 1 run").wait_for()
    page.get_by_text("2 runs").first.wait_for()  # both have the same name
