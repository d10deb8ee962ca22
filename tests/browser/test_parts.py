"""The components other than the pad, each in an empty page: they follow their data and keep the keyboard focus."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from lab.charts.data_url import png_url
from lab.charts.live import live_payload
from lab.charts.tiles import encode
from lab.runs.records import Series
from pages.components.live import chart_data
from pages.components.matrix import _rate_text
from pages.server.routes import PLOTLY_JS
from tests.browser.conftest import becomes, open_context, until

pytestmark = [pytest.mark.browser, pytest.mark.long]
_UI = Path(__file__).parents[2] / "pages" / "components"
_ORIGIN = "http://lab.test"
_LIGHT = {
    "text-color": "#1a2330",
    "background-color": "#ffffff",
    "secondary-background-color": "#f3f6f9",
    "border-color": "#d9e0e8",
    "primary-color": "#0b66a8",
}
_DARK = {
    "text-color": "#e4eaf2",
    "background-color": "#10151c",
    "secondary-background-color": "#1a222d",
    "border-color": "#2d3846",
    "primary-color": "#2f86cf",
}
_MOUNT = """async ([html, css, js, shadow]) => {
  const module = await import(js);
  const place = document.createElement("div");
  document.body.replaceChildren(place);
  window.place = shadow ? place.attachShadow({ mode: "open" }) : place;
  window.place.innerHTML = `<style>${css}</style>${html}`;
  window.sent = [];
  const send = (name, value) => sent.push([name, value]);
  window.render = (data) =>
    module.default({ data, parentElement: window.place, setTriggerValue: send, setStateValue: send });
}"""
_CONTRASTS = """() => {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const light = (colour) => {
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((part) => part / 255)
      .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...place.querySelectorAll("td button")].map((cell) => {
    const style = getComputedStyle(cell);
    const [low, high] = [light(style.color), light(style.backgroundColor)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  });
}"""

Mount = Callable[..., Page]


@pytest.fixture
def mount(browser: Browser) -> Iterator[Mount]:
    """A function that puts a component into an empty page with a colour theme; `answers` are served below /api."""
    context = open_context(browser)
    page = context.new_page()

    def mount_parts(
        *parts: str, theme: dict[str, str] = _LIGHT, shadow: bool = True, answers: list[Any] | None = None
    ) -> Page:
        def serve(route: Route) -> None:
            if route.request.url.endswith("plotly.min.js"):
                route.fulfill(path=PLOTLY_JS, content_type="text/javascript")
            elif route.request.url.endswith(".js"):
                script = route.request.url.removeprefix(f"{_ORIGIN}/components/")
                route.fulfill(path=_UI / script, content_type="text/javascript")
            elif "/api/" in route.request.url and answers:
                route.fulfill(json=answers.pop(0) if len(answers) > 1 else answers[0])
            else:
                route.fulfill(body="<!doctype html><title>bare</title>", content_type="text/html")

        page.route(f"{_ORIGIN}/**", serve)
        page.goto(_ORIGIN)
        style = ";".join(f"--st-{name}:{value}" for name, value in theme.items())
        page.evaluate("style => document.documentElement.style.cssText = style", style)
        texts = dict.fromkeys(("html", "css", "js"), "")
        for part in parts:
            path = _UI / part
            if path.suffix == ".js":
                texts["js"] = f"{_ORIGIN}/components/{part}"
            else:
                texts[path.suffix[1:]] += path.read_text(encoding="utf-8")
        page.evaluate(_MOUNT, [*texts.values(), shadow])
        return page

    yield mount_parts
    context.close()


def _matrix(classes: list[str], counts: list[list[int]]) -> dict[str, Any]:
    rates = [[cell / max(1, sum(row)) for cell in row] for row in counts]
    texts = [[_rate_text(rate) for rate in row] for row in rates]
    return {
        "classes": classes,
        "counts": counts,
        "rates": rates,
        "rate_texts": texts,
        "as_rates": False,
        "chosen": None,
        "caption": "x",
    }


def _heads(page: Page) -> list[str]:
    found: list[str] = page.evaluate("[...place.querySelectorAll('thead th')].map((cell) => cell.textContent)")
    return found


def test_the_matrix_updates_its_class_names_for_a_data_set_with_as_many_classes(mount: Mount) -> None:
    page = mount("shared/base.css", "matrix/matrix.css", "matrix/matrix.js")
    page.evaluate("data => render(data)", _matrix(["0", "1"], [[9, 1], [2, 8]]))
    page.evaluate("data => render(data)", _matrix(["Coat", "Bag"], [[7, 3], [0, 10]]))
    becomes(page, lambda: _heads(page), ["Coat", "Bag"])
    expect(page.locator("td button").first).to_have_attribute("aria-label", re.compile("^truth Coat"))


def test_the_picture_of_a_gallery_is_in_the_page_once(mount: Mount) -> None:
    page = mount("shared/base.css", "tiles/tiles.css", "tiles/tiles.js")
    sprite = png_url(encode(np.zeros((4, 8, 3), np.uint8)))
    sizes = {"columns": 2, "tile_width": 4, "tile_height": 4, "height": 8, "cell": 0, "row": False}
    tiles = {"tiles": [{"one": "3"}, {"one": "7"}], "selected": None, "clickable": True, "name": "x"}
    page.evaluate("data => render(data)", {"sprite": sprite, **sizes, **tiles})
    becomes(page, lambda: page.evaluate("place.querySelector('.tiles').outerHTML").count("base64"), 1)
    read = "[...place.querySelectorAll('.pic')].map((each) => getComputedStyle(each).background)"
    becomes(
        page, lambda: [(sprite in one, "-8px" in one) for one in page.evaluate(read)], [(True, False), (True, True)]
    )


def test_thirteen_levels_of_a_distortion_are_one_row_beside_the_navigation_of_a_laptop(mount: Mount) -> None:
    page = mount("shared/base.css", "tiles/tiles.css", "tiles/tiles.js")
    page.evaluate("place.host.style.width = '887px'")  # 1280 less navigation, padding and scroll bar
    words = {"tiles": [{"one": f"{at}° → 3"} for at in range(13)], "selected": 7, "clickable": True, "name": "x"}
    sizes = {"columns": 13, "tile_width": 4, "tile_height": 4, "height": 56, "cell": 60, "row": False}
    page.evaluate("data => render(data)", {"sprite": png_url(encode(np.zeros((4, 52, 3), np.uint8))), **sizes, **words})
    tops = "new Set([...place.querySelectorAll('.tile')].map((each) => each.offsetTop)).size"
    becomes(page, lambda: page.evaluate(tops), 1)


def test_tab_reaches_one_picture_of_a_gallery_and_arrow_keys_the_others(mount: Mount) -> None:
    page = mount("shared/base.css", "tiles/tiles.css", "tiles/tiles.js")
    words = {"tiles": [{"one": str(at)} for at in range(40)], "selected": 7, "clickable": True, "name": "x"}
    sizes = {"columns": 40, "tile_width": 4, "tile_height": 4, "height": 40, "cell": 48, "row": True}
    gallery = {"sprite": png_url(encode(np.zeros((4, 160, 3), np.uint8))), **sizes, **words}
    page.evaluate("data => render(data)", gallery)
    page.keyboard.press("Tab")
    focused = page.locator("button:focus")
    expect(focused).to_have_text("7")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(focused).to_have_text("8")
    page.evaluate("data => render(data)", gallery)  # another epoch
    expect(focused).to_have_text("8")
    expect(page.locator('button[tabindex="0"]')).to_have_count(1)
    page.keyboard.press("End")
    expect(focused).to_have_text("39")
    until(page, lambda: page.evaluate("place.querySelector('.row').scrollLeft") > 100, "a row that follows the focus")
    page.keyboard.press("Tab")
    expect(page.locator("button:focus")).to_have_count(0)


def test_tab_reaches_one_cell_of_the_matrix_and_arrow_keys_the_others(mount: Mount) -> None:
    page = mount("shared/base.css", "matrix/matrix.css", "matrix/matrix.js")
    names = [f"{at}" for at in range(62)]
    counts = [[0] * 62 for _ in names]
    page.evaluate("data => render(data)", _matrix(names, counts))
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "End", "ArrowLeft"):
        page.keyboard.press(key)
    focused = page.locator("td button:focus")
    expect(focused).to_have_attribute("aria-label", re.compile("^truth 1, answered 60:"))
    page.evaluate("data => render(data)", _matrix(names, counts))  # another epoch
    expect(focused).to_have_attribute("aria-label", re.compile("^truth 1, answered 60:"))
    expect(page.locator('td button[tabindex="0"]')).to_have_count(1)


_SCROLLED = "(({ scrollLeft, scrollTop }) => [scrollLeft, scrollTop])(place.querySelector('.wrap'))"
_OFFSETS = """(() => {
  const [wrap, row, column] = [".wrap", "tbody tr:last-child th", "thead th:last-child"]
    .map((each) => place.querySelector(each).getBoundingClientRect());
  return [Math.round(row.left - wrap.left), Math.round(column.top - wrap.top)];
})()"""
_COVERED = """place.querySelector('td button:focus').getBoundingClientRect().left
    - place.querySelector('tbody th').getBoundingClientRect().right"""


@pytest.mark.parametrize("width", [390, 1280])
def test_the_names_of_many_classes_stay_in_view_while_the_matrix_scrolls(mount: Mount, width: int) -> None:
    page = mount("shared/base.css", "matrix/matrix.css", "matrix/matrix.js")
    page.set_viewport_size({"width": width, "height": 700})
    names = [f"class {at}" for at in range(62)]
    page.evaluate("data => render(data)", _matrix(names, [[1] * 62 for _ in names]))
    page.keyboard.press("Tab")
    for key in ("End", *["ArrowDown"] * 61):
        page.keyboard.press(key)
    expect(page.locator("td button:focus")).to_have_attribute(
        "aria-label", re.compile("^truth class 61, answered class 61:")
    )
    until(page, lambda: min(page.evaluate(_SCROLLED)) > 100, "a matrix that has scrolled")
    becomes(page, lambda: page.evaluate(_OFFSETS), [0, 0])
    for _ in range(61):
        page.keyboard.press("ArrowLeft")
    expect(page.locator("td button:focus")).to_have_attribute("aria-label", re.compile("answered class 0:"))
    until(page, lambda: page.evaluate(_COVERED) >= 0, "a cell that the names do not cover")


def test_a_rate_just_below_100_percent_is_not_rounded_to_100(mount: Mount) -> None:
    page = mount("shared/base.css", "matrix/matrix.css", "matrix/matrix.js")
    page.evaluate("data => render(data)", _matrix(["0", "1"], [[999, 1], [0, 5]]) | {"as_rates": True})
    cells = page.locator("td button")
    expect(cells).to_have_text([">99", "0.1", "", "100"])
    expect(cells.nth(1)).to_have_attribute("aria-label", re.compile(r"1 image, 0\.1 %$"))


@pytest.mark.parametrize("theme", [_LIGHT, _DARK], ids=["light", "dark"])
def test_every_number_of_the_matrix_has_enough_contrast_with_its_colour(mount: Mount, theme: dict[str, str]) -> None:
    page = mount("shared/base.css", "matrix/matrix.css", "matrix/matrix.js", theme=theme)
    page.evaluate("style => (place.host.style.color = style)", theme["text-color"])
    page.evaluate("data => render(data)", _matrix(["0", "1", "2"], [[50, 50, 0], [1, 99, 0], [0, 0, 100]]))
    becomes(page, lambda: [each >= 4.5 for each in page.evaluate(_CONTRASTS)], [True] * 9)  # WCAG 2.2, 1.4.3


def _row(name: str, depth: int, *, leaf: bool) -> dict[str, Any]:
    return {
        "name": name,
        "short": name,
        "type": "t",
        "depth": depth,
        "leaf": leaf,
        "shape": "1",
        "size": 1,
        "params": 1,
        "params_text": "1",
        "param_share": 0.5,
        "mult_adds": 1,
        "mult_adds_text": "1",
        "work_share": 0.5,
        "bytes": 1,
        "bytes_text": "1",
        "field": 1,
        "step": 1,
    }


def _focused(page: Page) -> str:
    found: str = page.evaluate(
        "(one => one?.getAttribute('aria-label') ?? one?.textContent ?? '')(place.activeElement)"
    )
    return found


def test_the_table_of_layers_keeps_the_keyboard_focus_when_it_folds_and_sorts(mount: Mount) -> None:
    page = mount("shared/base.css", "layers/layers.css", "layers/layers.js")
    rows = [_row("body", 0, leaf=False), _row("body.conv", 1, leaf=True), _row("head", 0, leaf=False)]
    page.evaluate("data => render(data)", {"rows": rows, "network": "n", "folded": [], "selected": []})
    page.get_by_role("button", name="Close head").focus()
    page.keyboard.press("Enter")
    becomes(page, lambda: _focused(page), "Open head")
    page.get_by_role("button", name="Parameters", exact=True).focus()
    page.keyboard.press("Enter")
    becomes(page, lambda: _focused(page), "Parameters ▾")


def test_the_table_of_layers_scrolls_to_a_selected_row_once_and_not_at_every_rerun(mount: Mount) -> None:
    page = mount("shared/base.css", "layers/layers.css", "layers/layers.js")
    page.evaluate(
        "place.append(Object.assign(document.createElement('style'), { textContent: '.wrap { height: 200px }' }))"
    )
    rows = [_row(f"layer{k}", 0, leaf=True) for k in range(60)]
    data = {"rows": rows, "network": "n", "folded": [], "selected": ["layer50"]}
    page.evaluate("data => render(data)", data)
    top = "place.querySelector('.wrap').scrollTop"
    until(page, lambda: page.evaluate(top) > 0, "the chosen row in sight")
    page.evaluate(f"{top} = 0")
    page.evaluate("data => render(data)", data)
    becomes(page, lambda: page.evaluate(top), 0)


def _picture(*names: str) -> dict[str, Any]:
    boxes = "".join(
        f'<g class="box" data-name="{name}" role="button" tabindex="0" aria-label="{name}">'
        '<rect width="9" height="9"/></g>'
        for name in names
    )
    return {"svg": f"<svg>{boxes}</svg>", "digest": " ".join(names), "network": "n", "end": False}


def test_the_graph_keeps_the_keyboard_focus_and_moves_it_into_an_opened_block(mount: Mount) -> None:
    page = mount("shared/base.css", "graph/graph.css", "graph/graph.js")
    page.evaluate("data => render(data)", _picture("stem", "layer1", "layer2"))
    page.get_by_role("button", name="layer1").focus()
    page.keyboard.press("Enter")
    becomes(page, lambda: page.evaluate("sent"), [["pick", "layer1"]])
    page.evaluate("data => render(data)", _picture("stem", "layer1.conv", "layer1.relu", "layer2"))
    becomes(page, lambda: _focused(page), "layer1.conv")
    page.evaluate("data => render(data)", _picture("stem", "layer1.conv", "layer1.relu", "layer2", "head"))
    becomes(page, lambda: _focused(page), "layer1.conv")


def test_a_graph_that_becomes_wider_is_scaled_down_and_stays_centred(mount: Mount) -> None:
    page = mount("shared/base.css", "graph/graph.css", "graph/graph.js")

    def draw(width: int) -> None:
        svg = f'<svg viewBox="0 0 {width} 100" width="{width}" height="100"></svg>'
        data = {"svg": svg, "digest": str(width), "network": "n", "end": False}
        page.evaluate("data => render(data)", data)

    def shown() -> list[float]:
        """Return the width of the graph and the distance of its centre from that of the view, in pixels."""
        return list(
            page.evaluate(
                """() => { const view = place.querySelector(".view"), [box, own] = [view, view.querySelector("svg")]
                  .map((each) => each.getBoundingClientRect());
                  return [own.width, Math.abs(Math.round(own.x + own.width / 2 - box.x - box.width / 2))]; }"""
            )
        )

    window = page.evaluate("document.documentElement.clientWidth")
    draw(200)
    becomes(page, shown, [200, 0])
    draw(4 * window)
    becomes(page, lambda: [round(shown()[0]), shown()[1] <= 1], [round(3.2 * window), True])
    draw(200)
    becomes(page, shown, [200, 0])


_UPDATE = live_payload(
    {
        "batch/loss": Series(
            "batch/loss", np.array([10, 20, 30]), np.array([1.0, np.nan, 0.5]), np.array([1.0, 2.0, 3.0])
        )
    },
    since="",
    lease=1,
    complete=True,
) | {
    "run": "r",
    "state": "finished",
    "status": "finished",
    "live": False,
    "silence": "",
    "device": "cpu",
    "notices": 0,
    "findings": "",
    "facts": [["Epoch", "3 of 3"]],
    "progress": {"step": 30, "total_steps": 30, "epochs": 3, "steps_per_epoch": 10},
}
_LIVE = (
    "live/live.html",
    "live/live.css",
    "live/live.js",
)


_LIVE_DATA: dict[str, Any] = {
    "run": "r",
    "state": "finished",
    "status": "finished",
    "live": False,
    "notices": 0,
    "findings": "",
    "device": "cpu",
    "epochs": 3,
    "constant": True,
    "facts": _UPDATE["facts"],
    **chart_data(),
    "plotly": "/assets/plotly.min.js",
}


def _live(mount: Mount) -> Page:
    page = mount(*_LIVE, shadow=False, answers=[_UPDATE])
    page.evaluate("data => render(data)", _LIVE_DATA)
    page.wait_for_function("place.querySelector('[data-chart=loss] .cl-plot').data")
    return page


def test_the_mark_of_a_nan_has_its_step_on_every_x_axis(mount: Mount) -> None:
    page = _live(mount)
    page.locator("select[name=x]").select_option("epoch")
    marks = "place.querySelector('[data-chart=loss] .cl-plot').data.find((trace) => trace.kind === 'nonFinite')"
    page.wait_for_function(f"{marks}.x[0] === 2")
    trace = f"(({{ customdata, text, hovertemplate }}) => [customdata, text, hovertemplate])({marks})"
    becomes(page, lambda: page.evaluate(trace), [[20], ["NaN"], "%{text}<extra>step %{customdata}</extra>"])


def test_a_status_that_the_page_already_shows_is_requested_at_once(mount: Mount) -> None:
    page = _live(mount)
    with page.expect_request("**/points?since=*", timeout=15_000):  # the next one would be sent after 20 s
        page.evaluate("data => render(data)", _LIVE_DATA | {"status": "stopped"})


_PLOT = ("shared/base.css", "plot/plot.css", "plot/plot.js")


def _figure(*values: float, revision: str = "linear") -> dict[str, Any]:
    figure = go.Figure(go.Scatter(x=list(range(len(values))), y=values)).update_layout(height=300, title="Loss")
    return {
        "figure": figure.to_json(),
        "height": 300,
        "words": "x",
        "filename": "loss",
        "revision": revision,
        "plotly": "/assets/plotly.min.js",
    }


def _plot(mount: Mount) -> Page:
    page = mount(*_PLOT, shadow=False)
    page.evaluate("data => render(data)", _figure(1, 2, 3))
    page.wait_for_selector(".js-plotly-plot .main-svg")
    return page


@pytest.mark.parametrize("chart", [_plot, _live], ids=["plot", "live"])
@pytest.mark.parametrize(("button", "begins"), [("Save as SVG", b"<svg"), ("Save as PNG", b"\x89PNG")])
def test_a_chart_is_saved_in_the_requested_format(
    mount: Mount, chart: Callable[[Mount], Page], button: str, begins: bytes
) -> None:
    page = chart(mount)
    page.locator(".js-plotly-plot").first.hover()
    with page.expect_download() as download:
        page.locator(f'.modebar-btn[data-title="{button}"]').first.click()
    assert download.value.path().read_bytes().startswith(begins)
    assert download.value.suggested_filename == f"{'loss' if chart is _plot else 'r-loss'}.{button[-3:].lower()}"


def test_a_chart_keeps_its_zoom_until_the_meaning_of_its_axes_changes(mount: Mount) -> None:
    page = _plot(mount)
    span = "place.querySelector('.js-plotly-plot').layout.xaxis.range"
    page.mouse.move(300, 150)
    page.mouse.down()
    page.mouse.move(500, 200, steps=5)
    page.mouse.up()
    page.wait_for_function(f"{span}[1] < 1.5")
    zoomed = page.evaluate(span)
    page.evaluate("data => render(data)", _figure(3, 2, 1, 0))
    page.wait_for_function("place.querySelector('.js-plotly-plot').data[0].y[0] === 3")
    becomes(page, lambda: page.evaluate(span), zoomed)
    page.evaluate("data => render(data)", _figure(3, 2, 1, 0, revision="log"))
    page.wait_for_function(f"{span}[1] > 2")


@pytest.mark.parametrize("chart", [_plot, _live], ids=["plot", "live"])
def test_a_chart_fills_its_container_when_only_the_container_is_resized(
    mount: Mount, chart: Callable[[Mount], Page]
) -> None:
    page = chart(mount)
    page.evaluate("document.body.style.width = '900px'")
    page.wait_for_function("place.querySelector('.js-plotly-plot').clientWidth <= 900")
    page.wait_for_function(
        "(plot => plot.querySelector('.main-svg').clientWidth === plot.clientWidth)"
        "(place.querySelector('.js-plotly-plot'))"
    )


def _map(method: str) -> dict[str, Any]:
    return {
        "x": [-0.5, 0.5],
        "y": [0, 0],
        "labels": [0, 1],
        "wrong": [False, True],
        "notes": ["a", "b"],
        "classes": ["a", "b"],
        "sprite": "",
        "columns": 2,
        "method": method,
        "words": "x",
        "filename": "map",
        "plotly": "/assets/plotly.min.js",
    }


def test_a_lasso_selection_survives_a_change_of_epoch_and_is_cleared_for_another_map(mount: Mount) -> None:
    page = mount("shared/base.css", "scatter/scatter.css", "scatter/scatter.js", shadow=False)
    page.evaluate("data => render(data)", _map("run pca"))
    page.wait_for_selector(".nsewdrag")
    caught = "place.querySelector('.js-plotly-plot').data.map((trace) => trace.selectedpoints?.length ?? null)"
    box = page.locator(".nsewdrag").bounding_box()
    assert box is not None
    left, top, width, height = box["x"], box["y"], box["width"] * 0.45, box["height"] * 0.9
    page.mouse.move(left + 5, top + 5)
    page.mouse.down()
    for x, y in ((width, 5), (width, height), (5, height), (5, 5)):
        page.mouse.move(left + x, top + y, steps=8)
    page.mouse.up()
    page.wait_for_function("sent.length > 0")
    becomes(page, lambda: page.evaluate("sent.at(-1)"), ["caught", [0]])
    page.evaluate("data => render(data)", _map("run pca"))
    becomes(page, lambda: page.evaluate(caught), [1, 0])
    page.evaluate("data => render(data)", _map("run tsne"))
    page.wait_for_function(f"{caught}.every((count) => count === null)")
