"""Is one setting better? Two runs get five seeds each and a verdict; their networks are compared image by image."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server, Visitor, becomes, click, train_in, until

pytestmark = [pytest.mark.browser, pytest.mark.long]
_DOTS = """[...document.querySelectorAll('.js-plotly-plot')].at(-1)
  ?.data.filter((trace) => trace.mode === 'markers').map((trace) => trace.y.length)"""


def test_two_runs_are_repeated_with_more_seeds_and_get_a_verdict(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    small = {"train_limit": 200, "epochs": 1}
    poor, good = train_in(server, lr=1e-5, **small), train_in(server, lr=4e-3, **small)
    visitor.open(f"{server.url}/runs?runs={poor}.{good}&look=verdict")
    expect(page.get_by_text("Not enough runs (1 and 1)")).to_be_visible()
    visitor.press("Train 8 more runs")
    verdict = page.get_by_text("Significant: lr 0.004 is better than lr 1e-05")
    expect(verdict).to_be_visible()
    expect(verdict).to_contain_text("p = 0.0079; permutation test, 5 and 5 runs")
    becomes(page, lambda: page.evaluate(_DOTS), [5, 5, 1])
    click(page.get_by_text("Compare the two networks image by image"))
    expect(page.get_by_text("McNemar's exact test")).to_be_visible()
    until(page, lambda: "networks=1" in page.url, "the comparison of the networks in the address")
    visitor.open(page.url)
    expect(page.get_by_text("Of 359 test images")).to_be_visible()


def test_a_run_is_repeated_from_its_page_and_the_curves_of_all_seeds_are_shown(
    idle_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    first = train_in(idle_server, lr=0.0027, seed=0)
    for seed in (1, 2):
        train_in(idle_server, lr=0.0027, seed=seed)
    visitor.open(f"{idle_server.url}/train?run={first}")
    visitor.press("More")
    click(page.get_by_text("Repeat", exact=True))
    visitor.press("Train 2 more runs")
    page.wait_for_selector(".js-plotly-plot .legend")
    expect(page.get_by_text("(3 seeds)").first).to_be_attached()
    until(page, lambda: page.url.partition("runs=")[2].count(".") == 4, "all five runs in the address")
