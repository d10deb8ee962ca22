"""A student trains on the built-in digits: press, watch, leave, come back, ask again."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from lab.experiment import Lab
from lab.settings import Settings
from tests.browser.conftest import Server, Visitor, until
from tests.web.web_data import Bench, series

pytestmark = pytest.mark.browser
_LIVE = ".cl-live[data-points]"


@pytest.fixture(autouse=True)
def nothing_left_in_training(server: Server) -> Iterator[None]:
    """Stop what a test left in training: the next one's run would wait for it."""
    yield
    Lab(Settings.from_env({"LAB_HOME": str(server.home)})).store.stop_all()


def _points(visitor: Visitor) -> int:
    return int(visitor.page.locator(_LIVE).get_attribute("data-points") or 0)


def _wait(visitor: Visitor, condition: str) -> None:
    """Wait for a JavaScript condition; wait_for_function would need eval, which the lab's policy forbids."""
    until(visitor.page, lambda: visitor.page.evaluate(condition), condition)


def _run_in_address(visitor: Visitor) -> str:
    _wait(visitor, "location.search.includes('run=')")
    found = re.search(r"run=(\w+)", str(visitor.page.evaluate("location.href")))
    assert found is not None
    return found[1]


def _set_number(visitor: Visitor, label: str, value: str) -> None:
    field = visitor.page.get_by_label(label, exact=True).first
    field.fill(value)
    field.press("Enter")
    visitor.settle()


def _plot_range(visitor: Visitor, chart: str = "loss") -> Any:
    return visitor.page.evaluate(f"document.querySelector('[data-chart={chart}] .cl-plot').layout.xaxis.range")


def test_pressing_train_shows_curves_that_outlive_page_switch_and_reload_and_come_from_the_cache_next_time(
    server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "12")
    visitor.press("Train")
    run = _run_in_address(visitor)
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.points > 0")
    first = _points(visitor)
    _wait(visitor, f"document.querySelector('.cl-live')?.dataset.total > {first}")

    page.get_by_test_id("stSidebarNavLink").filter(has_text="Home").click()
    page.get_by_role("heading", name="Recent runs").wait_for()
    page.get_by_role("link", name="LeNet-5 on Digits").first.click()
    assert _run_in_address(visitor) == run
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.points > 0")

    page.reload()
    visitor.settle()
    assert _run_in_address(visitor) == run
    expect(page.get_by_text("finished", exact=True).first).to_be_visible()
    expect(page.get_by_text("Test accuracy", exact=True)).to_be_visible()
    _wait(visitor, "document.querySelector('.cl-newest').textContent.includes('test accuracy')")

    visitor.press("New training")
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    _set_number(visitor, "Epochs", "12")
    visitor.press("Train")
    expect(page.get_by_text("These settings were trained on")).to_be_visible()
    assert _run_in_address(visitor) == run


def test_zoom_survives_new_points_a_rerun_and_a_change_of_theme(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "400")
    _set_number(visitor, "Batch size", "16")
    visitor.press("Train")
    _run_in_address(visitor)
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.total > 100")

    box = page.locator("[data-chart=loss] .nsewdrag").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 160, steps=6)
    page.mouse.up()
    _wait(visitor, "document.querySelector('[data-chart=loss] .cl-plot').layout.xaxis.autorange === false")
    zoomed = _plot_range(visitor)
    assert _plot_range(visitor, "accuracy") == zoomed  # the charts are linked

    total = int(page.locator(_LIVE).get_attribute("data-total") or 0)
    _wait(visitor, f"document.querySelector('.cl-live')?.dataset.total > {total + 20}")
    assert _plot_range(visitor) == zoomed
    page.emulate_media(color_scheme="dark")
    _wait(visitor, "document.querySelector('.cl-live').style.colorScheme === 'dark'")
    assert _plot_range(visitor) == _plot_range(visitor, "accuracy") == zoomed

    visitor.press("Pause")
    expect(page.get_by_text("paused", exact=True).first).to_be_visible()
    assert _plot_range(visitor) == zoomed
    visitor.press("Resume")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    visitor.press("Stop")
    expect(page.get_by_text("stopped", exact=True).first).to_be_visible()


def test_a_long_run_is_thinned_grows_in_place_and_says_where_there_is_no_number(
    fresh_server: Server, visitor: Visitor
) -> None:
    bench = Bench(Lab(Settings.from_env({"LAB_HOME": str(fresh_server.home)})))
    run = bench.start()  # before the first visit starts a worker that would take it
    losses = np.linspace(2.3, 0.1, 7000)
    losses[5000:5010] = np.nan
    bench.write(run, series("batch/loss", losses), series("batch/accuracy", 1 - losses / 2.5))
    visitor.open(f"{fresh_server.url}/train?run={run.id}")
    words = visitor.page.locator(".cl-newest")
    expect(words).to_contain_text("of 7,000 points shown")
    assert _points(visitor) <= 2010
    expect(visitor.page.locator(".cl-note")).to_contain_text("The loss is NaN at step 5,001")
    visitor.page.evaluate("document.querySelector('[data-chart=loss] .cl-plot').mark = 'the same element'")
    bench.write(run, series("batch/loss", np.full(500, 0.1), first=7001))
    expect(words).to_contain_text("of 7,500 points shown")
    assert visitor.page.evaluate("document.querySelector('[data-chart=loss] .cl-plot').mark") == "the same element"
    drawn = visitor.page.evaluate("document.querySelector('[data-chart=loss] .cl-plot').data[0].x.length")
    assert drawn == _points(visitor)
    bench.finish(run)
    expect(visitor.page.get_by_text("finished", exact=True).first).to_be_visible()


def test_form_values_survive_a_page_switch_in_the_browser_too(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "23")
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Home").click()
    page.get_by_role("heading", name="Data sets").wait_for()
    page.get_by_test_id("stSidebarNavLink").filter(has_text="Train").click()
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    visitor.settle()
    expect(page.get_by_label("Epochs", exact=True).first).to_have_value("23")


def test_the_charts_have_names_and_the_newest_values_stand_beside_them_as_text(
    server: Server, visitor: Visitor
) -> None:
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "2")
    visitor.press("Train")
    _wait(visitor, "document.querySelector('.cl-newest')?.textContent.includes('validation loss')")
    for chart in ("loss", "accuracy", "learning rate"):
        expect(
            visitor.page.get_by_role("figure", name=re.compile(f"Line chart of the {chart} by step"))
        ).to_be_visible()
    expect(visitor.page.get_by_role("progressbar", name="Training progress")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/runs/x/points", "/static/js/none.js", "/_stcore/health"])
def test_a_foreign_host_header_gets_nothing_from_the_real_server(server: Server, path: str) -> None:
    request = urllib.request.Request(server.url + path, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=60)


def test_the_real_server_answers_on_its_routes(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=60) as answer:
        assert json.load(answer)["ok"] is True
        assert "script-src" in answer.headers["Content-Security-Policy"]
