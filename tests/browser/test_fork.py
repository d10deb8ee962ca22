"""A run is forked on its page: it continues from an epoch with another learning rate, and the tree links both."""

import re
import time

import pytest
from playwright.sync_api import expect

from lab.config import RunConfig
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from lab.settings import Settings
from tests.browser.conftest import WAIT_LIMIT_S, Server, Visitor, becomes, click, type_into

pytestmark = [pytest.mark.browser, pytest.mark.long]
_PARENT_CURVES = """() => [...(document.querySelector('[data-chart=loss] .cl-plot')?.data ?? [])]
    .filter(({ kind, x }) => kind === 'before' && x.length).map(({ line, x }) => [line.color, Math.max(...x)])"""
_OWN_START = """() => Math.min(...[...document.querySelector('[data-chart=loss] .cl-plot').data]
    .find(({ kind }) => kind === 'smooth').x)"""


def _ended(lab: Lab, run: str) -> RunRecord:
    deadline = time.monotonic() + WAIT_LIMIT_S
    while not lab.store.runs.get(run).state.over and time.monotonic() < deadline:
        time.sleep(0.1)
    return lab.store.runs.get(run)


def test_a_run_is_continued_from_an_epoch_with_another_learning_rate(server: Server, visitor: Visitor) -> None:
    lab, page = Lab(Settings.from_env({"LAB_HOME": str(server.home)})), visitor.page
    config = RunConfig(
        dataset="digits", epochs=3, train_limit=400, batch_size=36
    )  # 360 training images, 10 steps per epoch
    parent = lab.submissions.submit(lab.validation.resolve(config), name="to be forked").run
    lab.workers.ensure()
    assert _ended(lab, parent.id).state == "finished"

    visitor.open(f"{server.url}/train?run={parent.id}")
    visitor.press("More")
    click(page.get_by_text("Continue from epoch"))
    visitor.settle()
    click(page.get_by_role("combobox", name=re.compile("After epoch")))
    click(page.get_by_role("option", name=re.compile(r"^2\b")))
    visitor.settle()
    type_into(page.get_by_label("Learning rate", exact=True), "0.01")
    expect(page.get_by_text("From epoch 2 of to be forked: lr 0.001 → 0.01.")).to_be_visible()
    click(page.get_by_role("button", name="Start", exact=False).last)
    expect(page.get_by_role("heading", name="to be forked after epoch 2")).to_be_visible()
    expect(page.get_by_role("button", name="Forked from to be forked at epoch 2: lr 0.001 → 0.01")).to_be_visible()

    found = re.search(r"run=(\w+)", page.url)
    assert found is not None
    fork = _ended(lab, found[1])
    assert (fork.state, fork.config.lr, fork.config.fork_of, fork.config.fork_epoch) == ("finished", 0.01, parent.id, 2)
    assert fork.environment.fork_state == "recomputed"
    visitor.open(f"{server.url}/train?run={fork.id}")
    becomes(page, lambda: page.evaluate(_PARENT_CURVES), [["#8792a0", 20]] * 3)  # training, validation and test
    becomes(page, lambda: page.evaluate(_OWN_START), 20)

    click(page.get_by_text("Lineage: what was changed from run to run"))
    visitor.settle()
    node = page.get_by_role("button", name=re.compile("^after epoch 2: lr 0.001 → 0.01 to be forked after epoch 2"))
    expect(node).to_have_attribute("aria-current", "true")
    click(page.locator(f'button[data-run="{parent.id}"]'))
    expect(page.get_by_role("heading", name="to be forked", exact=True)).to_be_visible()
