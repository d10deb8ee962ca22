"""Findings in a real browser: those of a running run appear, change and vanish, and the curves stay in place."""

import numpy as np
import pytest
from playwright.sync_api import expect

from lab.findings import Finding
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import Settings
from tests.browser.conftest import Server, Visitor, becomes, click
from tests.web.web_data import DIGITS_CONFIG, Bench, series

pytestmark = [pytest.mark.browser, pytest.mark.long]
RISEN = Finding("overfitting", "warning", "Overfitting: the validation loss is 0.2 in epoch 9.", {"patience": 5})
HIGHER = Finding("overfitting", "warning", "Overfitting: the validation loss is 0.3 in epoch 10.", {"patience": 5})
STUCK = Finding("at-chance", "mistake", "No better than guessing: 9.80 % after epoch 11.", {"lr": 0.01})


def _top(visitor: Visitor) -> float:
    box = visitor.page.locator(".cl-live").first.bounding_box()
    assert box is not None
    return box["y"]


def test_findings_appear_and_vanish_without_moving_the_curves_and_the_outcome_is_the_badge(
    idle_server: Server, visitor: Visitor
) -> None:
    bench = Bench(Lab(Settings.from_env({"LAB_HOME": str(idle_server.home)})))
    run = bench.start(DIGITS_CONFIG.replace(seed=103))
    bench.write(run, series("batch/loss", np.full(40, 2.3)), series("batch/accuracy", np.full(40, 0.1)))
    page = visitor.page
    visitor.open(f"{idle_server.url}/train?run={run.id}")
    expect(page.locator(".cl-newest")).to_contain_text("40 points")
    top = _top(visitor)
    for finding in (RISEN, HIGHER):
        bench.lab.store.findings.set(run.id, run.lease, (finding,))
        expect(page.get_by_text(finding.message)).to_be_visible()
        becomes(page, lambda: _top(visitor), top)
    expect(page.get_by_text(RISEN.message)).to_have_count(0)
    bench.lab.store.findings.set(run.id, run.lease, ())
    expect(page.get_by_text(HIGHER.message)).to_have_count(0)
    becomes(page, lambda: _top(visitor), top)
    bench.lab.store.leases.finish(
        run.id, run.lease, state=RunState.FINISHED, findings=(STUCK,), summary={"test_accuracy": 0.1}
    )
    expect(page.locator(".stMarkdownBadge", has_text="no better than guessing").first).to_be_visible()
    expect(page.locator(".stMarkdownBadge", has_text="finished")).to_have_count(0)
    click(page.get_by_role("button", name="Train again with learning rate 0.01"))
    expect(page.get_by_role("heading", name="Train", exact=True)).to_be_visible()
