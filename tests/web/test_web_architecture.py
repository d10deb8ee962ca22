"""The Architecture page as Streamlit renders it, for every network and every view."""

import json
from typing import Any

import pytest
import torch
from streamlit.testing.v1 import AppTest

from lab.architectures.registry import list_architectures
from pages.architecture import times as arch_times
from pages.state.architecture import ARCHITECTURE
from tests.every_network import EVERY_NETWORK
from tests.web.addresses import go_to, open_page, set_state
from tests.web.web_data import Bench

VIEWS = ("layers", "graph", "compare", "time")


def open_architecture(**query: str) -> AppTest:
    return open_page("architecture", **query)


def components(app: AppTest) -> list[dict[str, Any]]:
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return [
        data for data in shown if data.keys() not in ({"page", "dark"}, {"qr", "most", "embeds", "embedded"})
    ]  # without the frame's


def metrics(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_page_opens_with_the_known_counts_of_lenet5(bench: Bench) -> None:
    app = open_architecture()
    shown = metrics(app)
    assert shown["Parameters"] == "61,706"
    assert shown["Mult-adds per image"] == "423,038"  # as on the Train page
    assert shown["Mult-adds, batch of 64"] == "27.07\u00a0M"
    assert shown["Forward/backward"] == "3.34\u00a0MB"
    slabs, table = components(app)
    assert [(stage["title"], stage["shape"]) for stage in slabs["stages"]][:3] == [
        ("image", [1, 32, 32]),
        ("conv1", [6, 28, 28]),
        ("pool1", [6, 14, 14]),
    ]
    rows = {row["name"]: row for row in table["rows"]}
    assert rows["features.conv2"]["params_text"] == "2,416"
    assert rows["features"]["params"] == 156 + 2416
    assert rows["features.conv1"]["mult_adds"] == 7_827_456 // 64
    assert (rows["features.pool2"]["field"], rows["features.pool2"]["step"]) == (16, 4)


@pytest.mark.parametrize("arch", EVERY_NETWORK)
def test_every_network_has_a_table_of_layers_and_a_graph(bench: Bench, arch: str) -> None:
    slabs, table = components(open_architecture(arch=arch))
    assert slabs["stages"][-1]["shape"] == [10]
    assert sum(row["params"] for row in table["rows"] if row["leaf"]) > 1000
    (picture,) = components(open_architecture(arch=arch, view="graph"))
    assert picture["svg"].startswith("<svg")


def test_selected_layers_are_marked_in_the_picture_and_in_the_table(bench: Bench) -> None:
    app = open_architecture(arch="lenet-bn")
    names = ("features.conv2", "features.bn2", "features.relu2")
    set_state(app, ARCHITECTURE, selected=names)
    app.run()
    slabs, table = components(app)
    (title,) = [stage["title"] for stage in slabs["stages"] if stage["id"] == slabs["chosen"]["stage"]]
    assert title == "conv2"
    assert tuple(table["selected"]) == names


def test_an_opened_block_is_drawn_with_its_layers_and_its_shortcut(bench: Bench) -> None:
    app = open_architecture(arch="resnet-small")
    set_state(app, ARCHITECTURE, opened=("features.residual1",))
    app.run()
    stages = components(app)[0]["stages"]
    inside = [stage for stage in stages if stage["block"] == "features.residual1"]
    assert [stage["family"] for stage in inside] == ["convolution", "convolution", "join"]
    assert not any(stage["closed"] for stage in inside)
    pool = next(stage["id"] for stage in stages if stage["title"] == "pool1")
    assert set(inside[-1]["inputs"]) == {inside[1]["id"], pool}


def test_a_network_that_the_image_is_too_small_for_is_drawn_up_to_the_failing_layer(bench: Bench) -> None:
    app = open_architecture(arch="vgg11", size="native")
    assert "smallest size that works is 32×32" in app.error[0].value.replace("\\", "")
    (picture,) = components(app)
    assert "does not fit: 512×1×1" in picture["svg"]


def test_two_networks_are_compared_layer_by_layer(bench: Bench) -> None:
    app = open_architecture(**{"arch": "lenet-bn", "view": "compare", "with": "lenet5"})
    frame = app.dataframe[0].value
    assert list(frame.iloc[:, 1]).count("← only here") == 4  # two batch norms, two dropouts
    assert metrics(app)["Layers"] == "17 | 13"
    assert list(frame.columns) == ["LeNet-5 with batch norm", "Match", "LeNet-5", "Output", "Parameters"]
    both = {row.iloc[0] or row.iloc[2]: (row["Output"], row["Parameters"]) for _, row in frame.iterrows()}
    assert both["conv1 · Conv2d 5×5"] == ("6×28×28", "156")
    assert both["bn1 · BatchNorm2d"] == ("6×28×28 | –", "12 | –")


def test_a_network_compared_with_itself_at_another_size_has_two_column_names(bench: Bench) -> None:
    app = open_architecture(**{"arch": "lenet5", "view": "compare", "with": "lenet5", "with_size": "64"})
    assert not app.exception
    assert list(app.dataframe[0].value.columns)[:3] == ["LeNet-5 (left)", "Match", "LeNet-5 (right)"]


def test_times_are_measured_on_request_and_refused_if_that_would_take_minutes(bench: Bench) -> None:
    app = open_architecture(view="time", batch="4")
    threads = torch.get_num_threads()
    app.button(key="arch-measure").click().run()
    assert not app.exception
    assert list(app.dataframe[0].value["Layer"])[:2] == ["resize", "features.conv1"]
    assert "one CPU thread" in app.caption[-1].value
    assert torch.get_num_threads() == threads
    big = open_architecture(arch="vgg19", view="time")
    assert "too much to measure" in big.info[0].value


def test_times_measured_in_one_session_are_not_shown_in_another(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[int] = []
    real = arch_times.measure_times

    def count(design: Any, batch: int) -> Any:
        measured.append(batch)
        return real(design, batch)

    monkeypatch.setattr(arch_times, "measure_times", count)
    first = open_architecture(view="time", batch="4")
    first.button(key="arch-measure").click().run()
    second = open_architecture(view="time", batch="4")
    assert not second.dataframe  # before it has measured anything itself
    second.button(key="arch-measure").click().run()
    assert measured == [4, 4]
    captions = "".join(caption.value for caption in second.caption).replace("\\", "")
    assert "Measured on" in captions
    assert "one CPU thread of this machine (CPU" in captions
    assert "One batch of 4 images forward" in metrics(second)


def test_options_change_the_counts_and_invalid_ones_are_reported(bench: Bench) -> None:
    app = open_architecture()
    app.text_input(key="arch.option.lenet5.widths").set_value("6, 20").run()
    assert metrics(app)["Parameters"] == f"{61_706 + 4 * 151 + 120 * 100:,}"
    app.text_input(key="arch.option.lenet5.widths").set_value("six").run()
    assert "must be 2 whole numbers" in app.error[0].value.replace("\\", "")


def test_an_invalid_address_opens_the_page_and_reports_each_ignored_part(bench: Bench) -> None:
    app = open_architecture(size="9", view="grahp", batch="-1", colour="red")
    assert metrics(app)["Parameters"] == "61,706"
    errors = [error.value.replace("\\", "") for error in app.error]
    assert errors == [
        "The address has 'colour', which this page does not recognise.",
        "The address has size='9', but it must be one of auto, native, 32, 64, 224.",
        "The address has batch='-1', but it must be a whole number from 1 to 65,536.",
        "The address has view='grahp', but it must be one of layers, graph, compare, time: did you mean 'graph'?",
    ]


@pytest.mark.parametrize(("name", "rest"), [("arch", {}), ("with", {"view": "compare"})])
def test_a_mistyped_network_is_reported_and_not_replaced_by_another(
    bench: Bench, name: str, rest: dict[str, str]
) -> None:
    app = open_architecture(**{name: "lenet55"}, **rest)
    assert (
        f"{name}='lenet55', but it must be one of {len(list_architectures())} names: did you mean 'lenet5'?"
        in app.error[0].value.replace("\\", "")
    )
    assert app.selectbox(key=ARCHITECTURE.widget_key({"arch": "arch", "with": "other"}[name])).value is None
    assert not [metric for metric in app.metric if "|" in metric.value or name == "arch"]
    app.selectbox(key=ARCHITECTURE.widget_key({"arch": "arch", "with": "other"}[name])).set_value("lenet-bn").run()
    assert not app.error
    assert metrics(app)


def test_a_choice_is_in_the_address_until_it_is_the_default_again(bench: Bench) -> None:
    app = open_architecture()
    app.segmented_control(key="arch.view").set_value("graph").run()
    app.selectbox(key="arch.arch").set_value("lenet-bn").run()
    assert dict(app.query_params) == {"view": "graph", "arch": "lenet-bn"}
    app.segmented_control(key="arch.view").set_value("layers").run()
    assert dict(app.query_params) == {"arch": "lenet-bn"}
    app.selectbox(key="arch.arch").set_value("lenet5").run()
    assert dict(app.query_params) == {}


@pytest.mark.parametrize(("arch", "detail"), [("googlenet", "blocks"), ("vgg19", "layers"), ("lenet5", "layers")])
def test_the_graph_starts_with_blocks_only_for_a_long_network_with_branches(
    bench: Bench, arch: str, detail: str
) -> None:
    app = open_architecture(arch=arch, view="graph")
    assert app.segmented_control(key=f"arch.detail.{arch}").value == detail


def test_the_chosen_network_is_in_the_address_again_after_returning_to_the_page(bench: Bench) -> None:
    app = open_page("architecture", arch="lenet-bn", view="graph")
    go_to(app, "machines").run()
    app.query_params.clear()  # as a click in the navigation does
    go_to(app, "architecture").run()
    assert not app.exception
    assert app.selectbox(key="arch.arch").value == "lenet-bn"
    assert dict(app.query_params) == {"view": "graph", "arch": "lenet-bn"}
