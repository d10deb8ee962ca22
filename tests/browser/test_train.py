"""The Train page on the built-in digits: start a run, watch it, leave the page, return, and train again."""

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import expect

from lab.runs.owner import Owner
from lab.runs.records import RunState
from lab.service.lab import Lab
from lab.settings import Settings
from tests.browser.conftest import WAIT_LIMIT_S, Server, Visitor, at_rest, becomes, click, press_key, type_into, until
from tests.processes import idle_process
from tests.web.web_data import DIGITS_CONFIG, Bench, series

pytestmark = pytest.mark.browser
_LIVE = ".cl-live[data-points]"


@pytest.fixture(autouse=True)
def stop_all_runs(server: Server) -> Iterator[None]:
    """Stop the runs that a test left unfinished, because the run of the next test would wait for them."""
    yield
    Lab(Settings.from_env({"LAB_HOME": str(server.home)})).store.queue.stop_all()


def _points(visitor: Visitor) -> int:
    return int(visitor.page.locator(_LIVE).get_attribute("data-points") or 0)


def _wait(visitor: Visitor, condition: str) -> None:
    """Wait for a JavaScript condition; wait_for_function needs eval, which the Content-Security-Policy forbids."""
    until(visitor.page, lambda: visitor.page.evaluate(condition), condition)


def _run_in_address(visitor: Visitor) -> str:
    _wait(visitor, "location.search.includes('run=')")
    found = re.search(r"run=(\w+)", str(visitor.page.evaluate("location.href")))
    assert found is not None
    return found[1]


def _set_number(visitor: Visitor, label: str, value: str) -> None:
    type_into(visitor.page.get_by_label(label, exact=True).first, value)


def _plot_range(visitor: Visitor, chart: str = "loss") -> Any:
    return visitor.page.evaluate(f"document.querySelector('[data-chart={chart}] .cl-plot').layout.xaxis.range")


def test_train_shows_curves_that_survive_page_switch_and_reload_and_uses_the_cache_next_time(
    server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "12")
    visitor.press("Train")
    run = _run_in_address(visitor)
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.points > 0")

    click(page.get_by_test_id("stSidebarNavLink").filter(has_text="Home"))
    page.get_by_role("heading", name="Recent runs").wait_for()
    click(page.locator(f'[data-testid="stMain"] a[href*="{run}"]').first)
    assert _run_in_address(visitor) == run
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.points > 0")

    page.reload()
    visitor.settle()
    assert _run_in_address(visitor) == run
    expect(page.locator(".stMarkdownBadge", has_text="finished").first).to_be_visible()
    expect(page.get_by_text("Test accuracy", exact=True)).to_be_visible()
    _wait(visitor, "document.querySelector('.cl-newest')?.textContent.includes('test accuracy')")

    visitor.press("More")
    visitor.press("New training")
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    _set_number(visitor, "Epochs", "12")
    visitor.press("Train")
    expect(page.get_by_text("These settings were already trained on")).to_be_visible()
    assert _run_in_address(visitor) == run


def test_network_and_experiment_are_chosen_by_their_images_and_with_the_keyboard(
    server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    click(page.get_by_role("button", name="Browse").nth(2))
    dialog = page.get_by_role("dialog")
    chosen = dialog.get_by_role("button", name="LeNet-5 61,706 parameters")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    press_key(chosen, "ArrowRight")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    until(page, lambda: "arch=lenet-bn" in page.evaluate("location.search"), "the network in the address")

    click(page.get_by_role("button", name="Browse").first)
    click(dialog.get_by_role("button", name="Wide network, lr 0.001, every epoch tested"))
    expect(dialog).to_have_count(0)
    until(page, lambda: "arch=wide-cnn" in page.evaluate("location.search"), "the experiment's network in the address")
    expect(page.get_by_text("99.35 % on the test set")).to_be_visible()


@pytest.mark.long
def test_zoom_survives_new_points_a_rerun_and_a_change_of_theme(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "1000")  # ended by Stop; for a longer training, the page would ask for confirmation
    _set_number(visitor, "Batch size", "16")
    visitor.press("Train")
    _run_in_address(visitor)
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.total > 100")

    box = at_rest(page.locator("[data-chart=loss] .nsewdrag").first)
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 220, box["y"] + 160, steps=6)
    page.mouse.up()
    _wait(visitor, "document.querySelector('[data-chart=loss] .cl-plot').layout.xaxis.autorange === false")
    zoomed = _plot_range(visitor)
    becomes(page, lambda: _plot_range(visitor, "accuracy"), zoomed)  # the charts are linked

    total = int(page.locator(_LIVE).get_attribute("data-total") or 0)
    _wait(visitor, f"document.querySelector('.cl-live')?.dataset.total > {total + 20}")
    becomes(page, lambda: _plot_range(visitor), zoomed)
    page.emulate_media(color_scheme="dark")
    _wait(visitor, "document.querySelector('.cl-live').style.colorScheme === 'dark'")
    becomes(page, lambda: [_plot_range(visitor), _plot_range(visitor, "accuracy")], [zoomed, zoomed])

    visitor.press("Pause")
    expect(page.locator(".stMarkdownBadge", has_text="paused").first).to_be_visible()
    becomes(page, lambda: _plot_range(visitor), zoomed)
    visitor.press("Resume")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    visitor.press("Stop")
    expect(page.locator(".stMarkdownBadge", has_text="stopped").first).to_be_visible()


def test_a_long_run_is_thinned_updates_its_chart_in_place_and_reports_nan_values(
    idle_server: Server, visitor: Visitor
) -> None:
    bench = Bench(Lab(Settings.from_env({"LAB_HOME": str(idle_server.home)})))
    run = bench.start(DIGITS_CONFIG.replace(seed=101))
    losses = np.linspace(2.3, 0.1, 7000)
    losses[5000:5010] = np.nan
    bench.write(run, series("batch/loss", losses), series("batch/accuracy", 1 - losses / 2.5))
    visitor.open(f"{idle_server.url}/train?run={run.id}")
    newest = visitor.page.locator(".cl-newest")
    expect(newest).to_contain_text("of 7,000 points shown")
    until(visitor.page, lambda: 0 < _points(visitor) <= 2010, "at most 2,010 points")
    expect(visitor.page.locator(".cl-note")).to_contain_text("The loss is NaN at step 5,001")
    visitor.page.evaluate("document.querySelector('[data-chart=loss] .cl-plot').mark = 'the same element'")
    bench.write(run, series("batch/loss", np.full(500, 0.1), first=7001))
    expect(newest).to_contain_text("of 7,500 points shown")
    chart = "document.querySelector('[data-chart=loss] .cl-plot')"
    becomes(visitor.page, lambda: visitor.page.evaluate(f"{chart}.mark"), "the same element")
    drawn = f"{chart}.data[0].x.length"
    until(visitor.page, lambda: visitor.page.evaluate(drawn) == _points(visitor), "as many points drawn as there are")
    bench.finish(run)
    expect(visitor.page.locator(".stMarkdownBadge", has_text="finished").first).to_be_visible()


def _trace(visitor: Visitor, chart: str, name: str) -> dict[str, Any]:
    found = visitor.page.evaluate(
        f"document.querySelector('[data-chart={chart}] .cl-plot').data.filter(t => t.name === '{name}')"
        ".map(({ x, y, mode, text, yaxis }) => ({ x, y, mode, text, yaxis }))[0]"
    )
    return dict(found)


def _loss_axis(visitor: Visitor) -> list[float]:
    found = visitor.page.evaluate("document.querySelector('[data-chart=loss] .cl-plot').layout.yaxis.range")
    return list(found)


def test_a_diverged_loss_leaves_the_chart_with_a_mark_and_a_switch_shows_the_full_range(
    idle_server: Server, visitor: Visitor
) -> None:
    bench = Bench(Lab(Settings.from_env({"LAB_HOME": str(idle_server.home)})))
    run = bench.start(DIGITS_CONFIG.replace(seed=102))
    loss = np.concatenate([np.linspace(2.3, 2.0, 120), np.full(80, 2.5e12)])
    start = [
        series(name, np.array(values), first=0, every=100)
        for name, values in (("val/loss", [2.31, 2.0]), ("val/accuracy", [0.102, 0.3]))
    ]
    bench.write(run, series("batch/loss", loss), series("batch/accuracy", np.full(200, 0.69)), *start)
    visitor.open(f"{idle_server.url}/train?run={run.id}")
    remarks = visitor.page.locator(".cl-remarks")
    expect(remarks).to_have_text("The batch loss leaves the chart at step 121 and reaches 2.5T.")
    # The axis has a margin below 0 and ends a little above the loss of guessing, at which any run begins.
    until(visitor.page, lambda: -0.3 < _loss_axis(visitor)[0] < 0, "an axis from a little below 0")
    until(visitor.page, lambda: 2.3 < _loss_axis(visitor)[1] < 3.0, "an axis to a little above the first loss")
    axis = _loss_axis(visitor)
    marked = {"x": [121], "y": [0.985], "mode": "markers", "text": ["batch loss 2.5T"], "yaxis": "y2"}
    becomes(visitor.page, lambda: _trace(visitor, "loss", "beyond the axis"), marked)

    visitor.page.get_by_label("full range").check()
    expect(remarks).to_be_hidden()
    until(visitor.page, lambda: _loss_axis(visitor)[1] > 2e12, "an axis up to 2e12")
    becomes(visitor.page, lambda: _trace(visitor, "loss", "beyond the axis")["x"], [])

    visitor.page.get_by_label("full range").uncheck()
    visitor.page.get_by_label("log x").check()
    expect(remarks).to_contain_text("Step 0 (validation loss 2.31, validation accuracy 10.2 %) is not on a logarithmic")
    becomes(visitor.page, lambda: _trace(visitor, "accuracy", "validation")["x"], [100])
    becomes(visitor.page, lambda: [_trace(visitor, "accuracy", "training")[axis][0] for axis in "xy"], [1, 0.69])

    finite = np.full(50, 2.0)
    bench.write(run, series("batch/loss", finite, first=201))
    expect(visitor.page.locator(".cl-newest")).to_contain_text("Step 250: batch loss 2,")
    becomes(visitor.page, lambda: _loss_axis(visitor), pytest.approx(axis))  # unchanged while points arrive
    bench.finish(run)


@pytest.mark.long
def test_a_schedule_is_a_curve_and_rates_of_an_older_release_are_dots_with_a_note(
    idle_server: Server, visitor: Visitor
) -> None:
    bench = Bench(Lab(Settings.from_env({"LAB_HOME": str(idle_server.home)})))
    config = DIGITS_CONFIG.replace(schedule="one-cycle", lr=0.5)
    run = bench.start(config)
    loss, rates = np.full(40, 1.0), np.concatenate([np.linspace(0.02, 0.5, 12), np.linspace(0.5, 0.01, 28)])
    bench.write(run, series("batch/loss", loss), series("lr", rates))
    bench.finish(run)
    visitor.open(f"{idle_server.url}/train?run={run.id}")
    expect(visitor.page.locator(".cl-newest")).to_contain_text("Step 40")  # it is updated after the charts
    expect(visitor.page.locator("[data-chart=lr]")).to_be_visible()
    curve = _trace(visitor, "lr", "learning rate")
    assert (curve["mode"], len(curve["x"]), max(curve["y"])) == ("lines", 40, 0.5)
    expect(visitor.page.locator(".cl-facts > div", has_text="Learning rate").locator("dd")).to_have_text(
        "0.5 (one-cycle)"
    )
    expect(visitor.page.locator(".cl-remarks")).to_be_hidden()
    plot = visitor.page.locator("[data-chart=lr] .cl-plot")
    expect(plot).to_have_attribute("aria-label", "Line chart of the learning rate by step. learning rate 0.01")

    old = bench.start(config.replace(seed=1))
    bench.write(old, series("batch/loss", loss), series("lr", np.array([0.3, 0.01]), first=20, every=20))
    bench.finish(old)
    visitor.open(f"{idle_server.url}/train?run={old.id}")
    expect(visitor.page.locator(".cl-newest")).to_contain_text("Step 40")
    expect(visitor.page.locator(".cl-remarks")).to_contain_text("recorded once per epoch")
    assert _trace(visitor, "lr", "learning rate")["mode"] == "markers"


def test_a_run_whose_worker_stops_responding_can_be_resumed_on_its_open_page(
    idle_server: Server, visitor: Visitor
) -> None:
    page = visitor.page
    settings = Settings.from_env({"LAB_HOME": str(idle_server.home)})
    with idle_process(settings.environment()) as worker:
        bench = Bench(Lab(settings), Owner.of_process(worker.pid))
        run = bench.start(DIGITS_CONFIG.replace(seed=103))
        visitor.open(f"{idle_server.url}/train?run={run.id}")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()  # once the lease has expired
        expect(page.get_by_role("button", name="Pause")).to_have_count(0)
        expect(page.locator(".cl-note")).to_contain_text("Its worker does not respond: no heartbeat for")
        click(page.get_by_role("button", name="Resume"))
        becomes(page, lambda: bench.lab.store.runs.get(run.id).state, RunState.QUEUED)
        assert worker.wait(timeout=WAIT_LIMIT_S) == -signal.SIGKILL
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
    bench.lab.store.queue.stop_all()


@pytest.mark.long
def test_form_values_survive_a_page_switch_in_the_browser(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "23")
    click(page.get_by_test_id("stSidebarNavLink").filter(has_text="Home"))
    page.get_by_role("heading", name="Data sets").wait_for()
    click(page.get_by_test_id("stSidebarNavLink").filter(has_text="Train"))
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    visitor.settle()
    expect(page.get_by_label("Epochs", exact=True).first).to_have_value("23")


@pytest.mark.long
def test_the_charts_have_accessible_names_and_the_latest_values_as_text(server: Server, visitor: Visitor) -> None:
    visitor.open(f"{server.url}/train")
    _set_number(visitor, "Epochs", "2")
    visitor.press("Train")
    _wait(visitor, "document.querySelector('.cl-newest')?.textContent.includes('validation loss')")
    for chart in ("loss", "accuracy"):
        expect(
            visitor.page.get_by_role("figure", name=re.compile(f"Line chart of the {chart} by step"))
        ).to_be_visible()
    expect(visitor.page.locator("[data-chart=lr]")).to_be_hidden()  # a constant learning rate is shown as a number
    expect(visitor.page.locator(".cl-facts > div", has_text="Learning rate").locator("dd")).to_have_text("0.001")
    expect(visitor.page.get_by_role("progressbar", name="Training progress")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/runs/x/points", "/static/js/none.js", "/_stcore/health"])
def test_a_request_with_a_foreign_host_header_is_refused_by_the_server(server: Server, path: str) -> None:
    request = urllib.request.Request(server.url + path, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=60)


def test_the_server_responds_on_its_own_routes(server: Server) -> None:
    with urllib.request.urlopen(f"{server.url}/healthz", timeout=60) as answer:
        assert json.load(answer)["ok"] is True
        assert "script-src" in answer.headers["Content-Security-Policy"]


def test_a_network_is_edited_layer_by_layer_and_trained(server: Server, visitor: Visitor) -> None:
    page = visitor.page
    visitor.open(f"{server.url}/train?arch=lenet5&dataset=digits&epochs=1")
    visitor.press("Edit layers")
    layers = page.get_by_role("textbox", name="Layers")
    picture = page.get_by_role("group", name="The layers of Custom network")
    expect(picture.get_by_role("group")).to_have_count(8)
    visitor.press("Residual block")
    expect(layers).to_have_value(re.compile(r"maxpool 2\nresidual 32\nlinear 120"))
    expect(picture.get_by_role("group", name=re.compile("^residual1"))).to_be_visible()
    expect(picture.get_by_role("button", name="conv1")).to_have_count(0)  # the slabs only show
    layers.fill("conv 4 5\ntanh\nmaxpool 4\nlinear 12")
    layers.press("Control+Enter")
    expect(picture.get_by_role("group")).to_have_count(5)
    expect(page).to_have_url(re.compile("option.layers=conv"))
    visitor.press("Train")
    run = _run_in_address(visitor)
    config = Lab(Settings.from_env({"LAB_HOME": str(server.home)})).store.runs.get(run).config
    assert (config.arch, config.arch_options) == ("custom", {"layers": "conv 4 5, tanh, maxpool 4, linear 12"})
    _wait(visitor, "document.querySelector('.cl-live')?.dataset.points > 0")
