"""A sweep from the form to its best trial: trials pause and are promoted, the space is narrowed, the link is copied."""

import re

import pytest
from playwright.sync_api import expect

from lab.service.lab import Lab
from lab.settings import Settings
from lab.sweeps.records import SweepState
from tests.browser.conftest import Server, Visitor, click, until

pytestmark = pytest.mark.browser


def test_a_sweep_of_eight_is_created_watched_and_narrowed_and_its_best_trial_opened(
    server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.url)
    visitor.open(f"{server.url}/sweeps")
    _enter(visitor, "Name", "browser sweep")
    _enter(visitor, "Trials", "8")
    _enter(visitor, "Values, separated by commas", "64, 128")
    page.get_by_text("8 trials", exact=True).wait_for()  # the first rung of the ladder
    visitor.press("Start the sweep")

    page.get_by_role("heading", name="browser sweep").wait_for()
    page.get_by_text("8 of 8").wait_for()
    page.get_by_text("All 8 trials are complete").wait_for()
    lab = Lab(Settings.from_env({"LAB_HOME": str(server.home)}))
    (sweep,) = [one for one in lab.store.sweeps.list() if one.name == "browser sweep"]
    trials = lab.sweeps.show(sweep.id).trials
    assert [trial.number for trial in trials] == list(range(1, 9))
    assert {len(trial.values) for trial in trials} >= {1, 2}, "none was paused, or none promoted"
    assert any(re.match(r"paused after epoch 1: \d+th of 8 at that time", trial.decision) for trial in trials)

    click(page.get_by_text("Contour"))
    page.locator(".js-plotly-plot .contour, .js-plotly-plot .scatterlayer").first.wait_for()
    visitor.press("Link to this view")
    click(page.get_by_role("dialog", name="Link to this view").get_by_role("button", name="Copy"))
    until(page, lambda: page.evaluate("navigator.clipboard.readText()") == page.url, "the address in the clipboard")
    assert f"sweep={sweep.id}" in page.url
    assert "look=surface" in page.url
    page.keyboard.press("Escape")

    visitor.press("Extend or narrow")
    _enter(visitor, "Learning rate to", "0.01")
    _enter(visitor, "More trials", "1")
    visitor.press("Continue with these")
    expect(page.get_by_role("button", name="Continue with these")).to_be_hidden()  # the dialog is closed
    page.get_by_text("9 of 9").wait_for()
    until(page, lambda: lab.sweeps.show(sweep.id).sweep.state is SweepState.FINISHED, "a sweep that has ended again")
    ended = lab.sweeps.show(sweep.id)
    assert ended.trials[8].params["lr"] <= 0.01
    assert ended.best is not None
    page.get_by_text("All 9 trials are complete").wait_for()
    click(page.get_by_role("link", name=f"Open trial {ended.best.trial.number}"))
    visitor.settle()
    expect(page).to_have_url(re.compile(f"/train\\?run={ended.best.trial.run}$"))
    lab.store.close()


def _enter(visitor: Visitor, label: str, text: str) -> None:
    """Fill in the field with this label and leave it with Tab."""
    field = visitor.page.get_by_label(label, exact=True).first
    field.fill(text)
    field.press("Tab")
    visitor.settle()
