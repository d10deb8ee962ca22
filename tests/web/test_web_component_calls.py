"""The data that each component receives, and how its reports are handled. The drawing itself is JavaScript.

Streamlit's registration is replaced by a recorder (`Shown`) and no browser is needed: it records the data, and stores a
report where Streamlit stores it before it runs the callback.
"""

import numpy as np
import plotly.graph_objects as go
import pytest
import streamlit as st

from lab.charts.data_url import png_url
from lab.charts.tiles import Sprite
from lab.errors import InputError
from pages.components import base
from pages.components.base import loader, reported_value
from pages.components.cards import Card, cards
from pages.components.graph import graph
from pages.components.layers import layer_table
from pages.components.matrix import matrix
from pages.components.network import network
from pages.components.pixels import PixelMap, pixels
from pages.components.plot import plot
from pages.components.scatter import scatter
from pages.components.share import MAX_CHARACTERS, qr_svg
from pages.components.tiles import Tile, tiles
from pages.components.tree import TreeNode, run_tree
from tests.web.shown_components import Shown

SPRITE = Sprite(b"\x89PNG", columns=3, tile_width=28, tile_height=14, count=2)


def test_a_component_is_registered_once_with_its_files_and_the_address_of_its_script(shown: Shown) -> None:
    base.component("matrix")
    base.component("matrix")
    base.component("plot", isolate_styles=False)
    assert set(shown.registered) == {"convlab_matrix", "convlab_plot"}
    files = shown.registered["convlab_matrix"]
    assert files["isolate_styles"] is True
    assert shown.registered["convlab_plot"]["isolate_styles"] is False
    assert files["js"] == loader("matrix/matrix.js")
    shared = (base._HERE / "shared" / "base.css").read_text(encoding="utf-8")
    assert files["css"] == shared + (base._HERE / "matrix" / "matrix.css").read_text(encoding="utf-8")
    assert files["html"] == "<span></span>"
    base.component("share")
    assert shown.registered["convlab_share"]["html"] == (base._HERE / "share" / "share.html").read_text(
        encoding="utf-8"
    )


def test_a_script_is_imported_from_a_url_with_the_digest_of_all_and_tests_are_not_served() -> None:
    assert f"${{location.origin}}/assets/components/{base.DIGEST}/tiles/tiles.js`" in loader("tiles/tiles.js")
    assert len(base.DIGEST) == 12
    assert not [script for script in base.SCRIPTS if ".test." in script]
    with pytest.raises(KeyError, match=r"there is no script 'tiles\.js': it must be one of cards/cards\.js"):
        loader("tiles.js")


def test_a_reported_value_is_found_by_its_name_and_is_none_before_the_first_report() -> None:
    assert reported_value("nobody", "pick") is None
    st.session_state["somebody"] = {"pick": 3}
    try:
        assert (reported_value("somebody", "pick"), reported_value("somebody", "open")) == (3, None)
    finally:
        del st.session_state["somebody"]
    assert png_url(b"\x89PNG") == "data:image/png;base64,iVBORw=="


def test_a_click_on_a_cell_of_the_confusion_matrix_reports_its_truth_and_its_answer(shown: Shown) -> None:
    picked: list[tuple[int, int]] = []
    matrix(
        "m",
        classes=("a", "b"),
        counts=[[9, 1], [0, 0]],
        rates=[[0.9, 0.0994], [None, 0.1]],
        as_rates=True,
        chosen=(1, 0),
        caption="words",
        on_pick=lambda truth, answer: picked.append((truth, answer)),
    )
    assert shown.data == {
        "classes": ["a", "b"],
        "counts": [[9, 1], [0, 0]],
        "rates": [[0.9, 0.0994], [None, 0.1]],
        "as_rates": True,
        "rate_texts": [["90 %", "9.9 %"], ["0.0 %", "10 %"]],
        "chosen": [1, 0],
        "caption": "words",
    }
    shown.report("pick", [0, 1])
    shown.report("pick", [1.0, 0.0])
    shown.report("pick", None)
    assert picked == [(0, 1), (1, 0)]


def test_a_click_on_a_tile_reports_its_index_if_there_is_such_a_tile(shown: Shown) -> None:
    picked: list[int] = []
    words = [Tile("first", one="1", two="2", bad=True), Tile("second")]
    tiles("t", SPRITE, words, name="Pictures", height=40, cell=50, selected=1, row=True, on_pick=picked.append)
    assert shown.data == {
        "sprite": "data:image/png;base64,iVBORw==",
        "columns": 3,
        "tile_width": 28,
        "tile_height": 14,
        "height": 40,
        "cell": 50,
        "name": "Pictures",
        "tiles": [
            {"label": "first", "one": "1", "two": "2", "bad": True},
            {"label": "second", "one": "", "two": "", "bad": False},
        ],
        "selected": 1,
        "row": True,
        "clickable": True,
    }
    for index in (0, 1, 2, -1, None):
        shown.report("pick", index)
    assert picked == [0, 1]
    tiles("t", SPRITE, words, name="Pictures", height=40)
    assert (shown.data["clickable"], shown.data["row"], shown.data["cell"], shown.data["selected"]) == (
        False,
        False,
        0,
        None,
    )
    shown.report("pick", 0)


def test_a_click_on_a_value_reports_its_row_and_column_and_windows_mark_its_inputs(shown: Shown) -> None:
    picked: list[tuple[int, int]] = []
    made = PixelMap(np.array([[0.0, 1.0, 0.123456]]), "made", "grey")
    given = PixelMap(np.zeros((2, 4)), "given", "diverging")
    pixels("p", given, made, windows=[(0, 1)], place=(0, 2), on_pick=lambda r, c: picked.append((r, c)))
    assert shown.data["texts"] == [["0", "1", "0.1235"]]
    assert (shown.data["windows"], shown.data["place"]) == ([[0, 1]], [0, 2])
    assert (shown.data["made"]["side"], shown.data["given"]["side"]) == ([1, 3], [2, 4])
    assert (shown.data["made"]["title"], shown.data["given"]["title"]) == ("made", "given")
    for place in ([0, 2], [1, 0], [0, 3], None):
        shown.report("pick", place)
    assert picked == [(0, 2)]
    pixels("p", None, made, windows=[], place=(0, 0), on_pick=lambda r, c: None)
    assert shown.data["given"] is None


def test_a_lasso_reports_only_images_that_exist(shown: Shown) -> None:
    caught: list[list[int]] = []
    scatter(
        "s",
        np.array([[0.123456, -1.0], [1.0, 0.5]]),
        SPRITE,
        labels=(3, 4),
        wrong=(False, True),
        notes=("one", "two"),
        classes=("a",),
        method="pca",
        words="a map",
        on_caught=caught.append,
    )
    assert (shown.data["x"], shown.data["y"]) == ([0.1235, 1.0], [-1.0, 0.5])
    assert (shown.data["labels"], shown.data["wrong"], shown.data["notes"]) == ([3, 4], [False, True], ["one", "two"])
    assert (shown.data["method"], shown.data["words"], shown.data["columns"]) == ("pca", "a map", 3)
    for found in ([0, 1, 2, -1], [], None):
        shown.report("caught", found)
    assert caught == [[0, 1], []]


def test_boxes_of_a_network_are_picked_by_name_and_blocks_opened_and_closed(shown: Shown) -> None:
    names: list[str] = []
    graph("g", "<svg/>", network="lenet5", on_pick=names.append, from_end=True)
    assert (shown.data["svg"], shown.data["network"], shown.data["end"]) == ("<svg/>", "lenet5", True)
    first = shown.data["digest"]
    for name in ("conv1", None):
        shown.report("pick", name)
    graph("g", "<svg>2</svg>", network="lenet5", on_pick=names.append)
    assert (names, shown.data["end"], shown.data["digest"] != first) == (["conv1"], False, True)
    picked: list[tuple[str, int]] = []
    toggled: list[tuple[str, bool]] = []
    network(
        "n",
        {"stages": 2},
        stages=("s1", "s2"),
        blocks=("b1",),
        on_pick=lambda stage, channel: picked.append((stage, channel)),
        on_block=lambda block, opened: toggled.append((block, opened)),
    )
    assert shown.data == {"stages": 2}
    for pick in (["s2", 3.0], ["s3", 0], None):
        shown.report("pick", pick)
    for name, block in (("open", "b1"), ("close", "b1"), ("open", "b2"), ("close", None)):
        shown.report(name, block)
    assert (picked, toggled) == ([("s2", 3)], [("b1", True), ("b1", False)])


def test_a_click_on_a_card_reports_its_id_if_there_is_such_a_card(shown: Shown) -> None:
    picked: list[str] = []
    choices = [Card("a", "A", "p", "group", "1", "2"), Card("b", "B")]
    cards("c", choices, name="Networks", chosen="b", on_pick=picked.append)
    assert shown.data == {
        "cards": [
            {"id": "a", "title": "A", "picture": "p", "group": "group", "one": "1", "two": "2"},
            {"id": "b", "title": "B", "picture": "", "group": "", "one": "", "two": ""},
        ],
        "name": "Networks",
        "chosen": "b",
    }
    for card in ("a", "x", None):
        shown.report("pick", card)
    assert picked == ["a"]


def test_a_reported_run_is_opened_while_the_page_is_drawn_if_it_is_in_the_tree(shown: Shown) -> None:
    opened: list[str] = []
    nodes = [TreeNode("r1", 0, "first", "", "90 %", ""), TreeNode("r2", 1, "second", "lr", "91 %", "+1", here=True)]
    for reported, then in ((None, []), ({"open": "r2"}, ["r2"]), ({"open": "r3"}, ["r2"]), ({}, ["r2"])):
        if reported is not None:
            st.session_state["tree"] = reported
        run_tree("tree", nodes, name="Runs", on_open=opened.append)
        assert opened == then
    del st.session_state["tree"]
    assert shown.data["name"] == "Runs"
    assert [node["depth"] for node in shown.data["nodes"]] == [0, 1]
    assert [node["here"] for node in shown.data["nodes"]] == [False, True]


def test_layers_and_figures_are_passed_completely(shown: Shown) -> None:
    layer_table("l", [{"name": "conv1"}], network="lenet5", folded=("a",), selected=("conv1",))
    assert shown.data == {"rows": [{"name": "conv1"}], "network": "lenet5", "folded": ["a"], "selected": ["conv1"]}
    wide, narrow = go.Figure(layout={"height": 300}), go.Figure(layout={"height": 500})
    plot("p", wide, words="a curve", name="file", revision="r", linked="x", narrow=narrow, narrow_below=600)
    assert (shown.data["height"], shown.data["words"], shown.data["filename"]) == (300, "a curve", "file")
    assert (shown.data["revision"], shown.data["linked"]) == ("r", "x")
    assert shown.data["narrow"] == {"figure": narrow.to_json(), "height": 500, "below": 600}
    assert wide.layout.template.layout.colorway is narrow.layout.template.layout.colorway is None  # the theme's own
    plot("p", wide, words="a curve", name="file")
    assert (shown.data["narrow"], shown.data["revision"], shown.data["linked"]) == (None, "same", "")


def test_the_link_of_a_qr_code_has_a_maximum_length() -> None:
    svg = qr_svg("http://lab/runs?q=a" + "a" * (MAX_CHARACTERS - 19)).decode()
    assert svg.startswith("<svg")
    assert "#000" in svg
    assert "#fff" in svg
    for text in ("", "a" * (MAX_CHARACTERS + 1)):
        with pytest.raises(InputError, match="a QR code can have 1 to 2,000"):
            qr_svg(text)
