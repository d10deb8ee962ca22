"""Long texts: names of 200 letters widen no page, and numbers and their labels are never cut off."""

import time

import numpy as np
import pytest

from lab.config import RunConfig
from lab.runs.ids import new_id
from lab.runs.imports import EndedRun
from lab.runs.records import RunState, Series
from lab.runs.run_facts import RunEnvironment
from lab.service.lab import Lab
from lab.settings import Settings
from tests.browser.conftest import Server, Visitor, becomes, until

_WIDTHS = "(r => [r.scrollWidth, r.clientWidth])(document.documentElement)"

# The texts of the numbers on a page that are cut off. The columns are made as narrow as a neighbour or zoom can make them.
_CUT = """width => {
  for (const metric of document.querySelectorAll('[data-testid="stMetric"]')) metric.style.width = width;
  const texts = document.querySelectorAll(':is([data-testid="stMetricLabel"], [data-testid="stMetricValue"]) div');
  const hidden = [...texts].filter(each => getComputedStyle(each).overflowX !== "visible");
  return [...hidden, ...document.querySelectorAll('[data-testid="stMetric"]')]
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent);
}"""

# The widths in pixels of an input's placeholder and of the room for it.
_PLACEHOLDER = """input => {
  const style = getComputedStyle(input), pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font;
  const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
  return [pen.measureText(input.placeholder).width, input.clientWidth - padding];
}"""


def _fits(visitor: Visitor, width: int) -> bool:
    content, window = visitor.page.evaluate(_WIDTHS)
    return bool(content <= window <= width)


@pytest.mark.long
@pytest.mark.browser
def test_unbroken_names_do_not_widen_a_page(idle_server: Server, visitor: Visitor) -> None:
    lab = Lab(Settings.from_env({"LAB_HOME": str(idle_server.home)}))
    curve = Series("batch/loss", np.arange(1, 9), np.linspace(2.0, 1.0, 8), np.linspace(0.1, 0.8, 8))
    now = time.time()
    runs = lab.store.imports.insert(
        [
            EndedRun(
                id=new_id(),
                name=letter * 200,
                config=RunConfig(dataset="digits"),
                fingerprint="0" * 64,
                state=RunState.FINISHED,
                reason=letter * 200,
                created_at=now,
                started_at=now,
                finished_at=now,
                seconds=1.0,
                device="cpu",
                note=letter * 300,
                tags=(letter * 60,),
                environment=RunEnvironment.from_dict({"name": letter * 200}),
                notices=(letter * 200,),
                points={"batch/loss": curve},
                files=(),
            )
            for letter in "WV"
        ]
    )
    ids = ",".join(run.id for run in runs)
    try:
        for address in (
            "",
            f"train?run={runs[0].id}",
            "runs",
            f"runs?runs={ids}",
            f"inside?run={runs[0].id}",
            "draw",
        ):
            visitor.page.set_viewport_size({"width": 390, "height": 900})
            visitor.open(f"{idle_server.url}/{address}")
            for width in (390, 1440):
                visitor.page.set_viewport_size({"width": width, "height": 900})
                visitor.settle()
                until(visitor.page, lambda width=width: _fits(visitor, width), f"/{address} no wider than {width} px")
    finally:
        for run in runs:
            lab.store.removal.delete(run.id)
        lab.store.close()


@pytest.mark.browser
def test_labels_and_numbers_of_metrics_are_never_cut_off(idle_server: Server, visitor: Visitor) -> None:
    page = visitor.page
    for address in ("train", "architecture?arch=lenet5&view=compare&other=mobilenet"):
        visitor.open(f"{idle_server.url}/{address}")
        page.get_by_test_id("stMetric").first.wait_for()
        for window in (1280, 390):
            page.set_viewport_size({"width": window, "height": 900})
            visitor.settle()
            for width in ("auto", "7rem"):
                becomes(page, lambda width=width: page.evaluate(_CUT, width), [])


@pytest.mark.browser
def test_the_choice_of_an_experiment_says_on_a_phone_what_applies_without_one(
    idle_server: Server, visitor: Visitor
) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 900})
    visitor.open(f"{idle_server.url}/train")
    field = visitor.page.get_by_label("Start from an experiment")

    def fits() -> bool:
        text, room = field.evaluate(_PLACEHOLDER)
        return 0 < text <= room

    until(visitor.page, fits, "the placeholder is not cut")
