"""A new network is one file: added to a copy of the lab, it is available everywhere.

The copy is used only through the CLI, its pages and the documentation generator.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab_copy import copy_lab, run_commands, run_python, train_command
from tests.processes import end_workers

pytestmark = pytest.mark.long
TOY = '''
"""A network of two convolutions with a shortcut around the second."""

from lab.architectures.common_options import widths
from lab.architectures.spec import Architecture

NETWORKS = (
    Architecture(
        id="toy",
        title="Toy network",
        description="Two convolutions, group norm and SiLU.",
        source="A test",
        builder="lab.architectures.networks.toy:toy",
        options=(widths(8),),
    ),
)


def toy(build, *, widths):
    from torch import nn

    from lab.architectures.blocks import assemble, hidden_group, named

    (width,) = widths
    features = named(
        [
            ("conv1", nn.Conv2d(build.channels, width, 3, padding="same")),
            ("norm1", nn.GroupNorm(2, width)),
            ("act1", nn.SiLU()),
            ("pool1", nn.AvgPool2d(2)),
            ("conv2", nn.Conv2d(width, width, 3)),
            ("act2", nn.GELU()),
            ("pool2", nn.AdaptiveMaxPool2d(4)),
        ]
    )
    return assemble(build, features, lambda n: hidden_group([n], classes=build.classes))
'''
# Prints facts about the network in the copy, then the documentation. The registry is imported without torch.
INSIDE = """
import sys
import lab.architectures.registry
assert "torch" not in sys.modules
import torch
from lab.architectures.build import build_network
from lab.inspection.attribution import attribute
from lab.inspection.graph import trace_graph
from lab.inspection.observe import feature_maps
from lab.inspection.picture import boxes
network = build_network("toy")
print([box.detail for box in boxes(trace_graph(network, input_shape=(1, 1, 28, 28)))])
x = torch.rand(1, 1, 28, 28)
print(feature_maps(network, x, layer="features.act2").values.shape)
print(attribute(network, x, target=1, method="grad-cam", black=0.0).values.shape)
from tests.reference_docs import render
print(render())
"""
# Then selects the network on the Train and Architecture pages and prints their texts; torch is imported once for both.
PAGES = """
import json
from streamlit.testing.v1 import AppTest
for page in ("train/page.py", "architecture/page.py"):
    app = AppTest.from_file("pages/entry.py", default_timeout=300).run()
    app.switch_page(page).run()
    box = next(box for box in app.selectbox if "Toy network" in box.options)
    box.set_value("toy").run()
    assert not app.exception, [error.value for error in app.exception]
    print("PAGE", page, json.dumps([caption.value for caption in app.caption] + [text.value for text in app.markdown]))
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a copy of the lab with one more network."""
    root = copy_lab(tmp_path_factory.mktemp("copy"))
    (root / "lab/architectures/networks/toy.py").write_text(TOY.lstrip(), encoding="utf-8")
    yield root
    end_workers(root / "home")


@pytest.fixture(scope="module")
def printed(copy: Path) -> list[str]:
    """Return the lines that the copy prints about the network."""
    return run_python(copy, "-c", INSIDE + PAGES).splitlines()


def test_a_new_network_is_documented_traced_and_inspected(printed: list[str]) -> None:
    graph, maps, heat, *docs = printed
    assert "'convolution · group norm · SiLU', 'average pooling', 'convolution · GELU'" in graph
    assert (maps, heat) == ("(8, 12, 12)", "(28, 28)")
    assert "| `toy` | Two convolutions, group norm and SiLU. | native | `widths=[8]` | A test |" in docs


def test_a_new_network_is_on_the_train_and_architecture_pages(printed: list[str]) -> None:
    pages = [line for line in printed if line.startswith("PAGE ")]
    assert len(pages) == 2
    assert "Two convolutions, group norm and SiLU" in pages[0]
    assert "Two convolutions, group norm and SiLU" in pages[1]


def test_a_new_network_trains_and_its_exported_code_reproduces_the_run(copy: Path) -> None:
    listed, summary, _, _ = run_commands(
        copy,
        ["architectures", "--json"],
        ["summary", "toy", "--json"],
        train_command(arch="toy"),
        ["export", "{0}", "--format", "code", "--out", "exported/train.py"],
    )
    last = json.loads(listed)["architectures"][-1]
    assert (last["id"], last["options"][0]["default"]) == ("toy", [8])
    # 1·9·8 + 8, twice 8 for the norm, 8·9·8 + 8, and 8·4·4 features for 10 classes
    assert json.loads(summary)["total_params"] == 80 + 16 + 584 + 1290
    assert "nn.GroupNorm(2, 8)" in (copy / "exported/train.py").read_text(encoding="utf-8")
    assert "They are identical to the run's weights, bit for bit." in run_python(copy / "exported", "train.py")
