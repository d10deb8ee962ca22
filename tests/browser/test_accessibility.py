"""axe-core on every view in both themes: contrast, headings, names and roles, except in Streamlit's own elements."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from tests.browser.conftest import Server, Visitor, becomes, train_in

pytestmark = [pytest.mark.browser, pytest.mark.long]
# Findings in Streamlit's own elements, by rule and selector, and their cause.
STREAMLITS_OWN = {
    ("list", '[data-testid="stSidebarNav"]'): "st.navigation puts the items of a section below a <div>",
    ("listitem", '[data-testid="stSidebarNav"]'): "st.navigation puts the items of a section below a <div>",
}
_RUN_AXE = """async () => {
  const options = {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"],
    rules: { "label-content-name-mismatch": { enabled: true } },
  };
  const { violations } = await axe.run(document, options);
  return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, html, any, all, none }) => ({
    id, impact, html, target, message: [...any, ...all, ...none].map(({ message }) => message).join("; "),
  })));
}"""
_SERIOUS = ("serious", "critical")
_ALL_IMPACTS = ("heading-order", "label-content-name-mismatch")  # rules of which less serious findings count as well


@pytest.fixture(scope="module")
def runs(idle_server: Server) -> tuple[str, str]:
    """Two finished runs with different settings."""
    return train_in(idle_server, lr=0.0031), train_in(idle_server, lr=0.0013)


# view: address, and an element that exists once the view is drawn
_VIEWS = {
    "home": ("/", "text=Data sets"),
    "form": ("/train", "text=Mult-adds"),
    "run": ("/train?run={0}", ".cl-live[data-points]"),
    "runs": ("/runs", '[data-testid="stDataFrame"]'),
    "curves": ("/runs?runs={0}.{1}", ".js-plotly-plot .legend"),
    "differences": ("/runs?runs={0}.{1}&look=differences", '[data-testid="stDataFrame"] >> nth=1'),
    "groups": ("/runs?runs={0}.{1}&look=groups&by=lr", ".js-plotly-plot .main-svg"),
    "verdict": ("/runs?runs={0}.{1}&look=verdict", ".js-plotly-plot .main-svg"),
    "parallel": ("/runs?runs={0}.{1}&look=parallel", ".js-plotly-plot .main-svg"),
    "pareto": ("/runs?runs={0}.{1}&look=pareto", ".js-plotly-plot .main-svg"),
    "reports": ("/runs?show=reports&report=D", '[data-testid="stMultiSelect"]'),
    "layers": ("/architecture", "tbody tr"),
    "graph": ("/architecture?view=graph", "svg .box"),
    "compare": ("/architecture?view=compare", '[data-testid="stDataFrame"]'),
    "network": ("/inside?run={0}", ".map"),
    "maps": ("/inside?run={0}&view=maps", ".tile"),
    "kernels": ("/inside?run={0}&view=kernels", ".tile"),
    "hand": ("/inside?run={0}&view=hand", ".cl-probs"),
    "gradients": ("/inside?run={0}&view=gradients", ".js-plotly-plot .main-svg"),
    "why": ("/inside?run={0}&view=why", ".cl-probs"),
    "answers": ("/inside?run={0}&view=answers", "td button"),
    "map": ("/inside?run={0}&view=map", ".js-plotly-plot .main-svg"),
    "robustness": ("/inside?run={0}&view=robustness", ".js-plotly-plot .main-svg"),
    "step": ("/inside?run={0}&view=step&steps=2", ".cl-updates"),
    "draw": ("/draw?runs={0},{1}", ".pad-paper"),
    "wrong": ("/inside?run=0123", '[data-testid="stAlert"]'),
    "nowhere": ("/nosuchpage", "h1"),
}
_ALWAYS = ("home", "form", "run", "curves", "network", "answers")  # `make test-slow` checks the others


def _findings(page: Page) -> list[str]:
    """Return axe-core's findings on the page, except for those in Streamlit's own elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(_RUN_AXE)
    return [
        f"{each['id']}: {each['message']} {each['html'][:200]}"
        for each in found
        if (each["impact"] in _SERIOUS or each["id"] in _ALL_IMPACTS) and not _streamlits_own(page, each)
    ]


def _streamlits_own(page: Page, found: dict[str, Any]) -> bool:
    target = found["target"][0]
    selector = target[0] if isinstance(target, list) else target
    return any(
        found["id"] == rule and page.evaluate(f"!!document.querySelector({json.dumps(selector)})?.closest('{within}')")
        for rule, within in STREAMLITS_OWN
    )


@pytest.fixture
def page(visitor: Visitor) -> Iterator[Page]:
    yield visitor.page
    visitor.errors[:] = [each for each in visitor.errors if "/nosuchpage" not in each]


@pytest.mark.parametrize(
    "view", [pytest.param(view, marks=() if view in _ALWAYS else pytest.mark.slow) for view in _VIEWS]
)
def test_a_view_has_no_serious_findings_in_either_theme(
    idle_server: Server, runs: tuple[str, str], visitor: Visitor, page: Page, view: str
) -> None:
    address, drawn = _VIEWS[view]
    page.emulate_media(color_scheme="light")
    page.goto(idle_server.url + address.format(*runs))
    page.wait_for_selector(drawn)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        if view != "nowhere":
            expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", theme)
            visitor.settle()
            page.wait_for_selector(drawn)
        becomes(page, lambda: _findings(page), [])
