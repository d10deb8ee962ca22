"""An enlarged channel among the feature maps: the images to which it responds, and the accuracy without it."""

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from lab.inspection.channels import ChannelStudy
from lab.inspection.metrics import score_logits
from lab.inspection.observe import capture, compute_logits, to_input
from lab.loaded_network import LoadedNetwork
from lab.runs.records import RunRecord
from lab.service.lab import Lab
from pages.inside.channel import _highlight, describe
from pages.widgets import waiting
from tests.web import test_web_inside
from tests.web.test_web_inside import open_inside, texts, tiles

home, lab, run, env_home = test_web_inside.home, test_web_inside.lab, test_web_inside.run, test_web_inside.env_home

_LAYER = "features.conv2"


def _right(loaded: LoadedNetwork, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return score_logits(compute_logits(loaded.network, images, mean=loaded.mean, std=loaded.std), labels).right


@pytest.mark.parametrize("channel", [0, 5])
def test_a_channel_is_shown_with_its_strongest_images_and_the_accuracy_without_it(
    env_home: None, lab: Lab, run: RunRecord, channel: int
) -> None:
    app = open_inside(run=run.id, view="maps", epoch="2", layer=_LAYER, channel=str(channel))
    assert not app.error
    data, loaded = lab.datasets.load("digits"), lab.weights.load(run.id, epoch=2)
    x = to_input(data.test_images, mean=loaded.mean, std=loaded.std)
    highest = capture(loaded.network, x, layers=[_LAYER])[_LAYER][:, channel].flatten(1).amax(1).numpy()
    strongest = np.argsort(-highest, kind="stable")[:12]
    shown = tiles(app, "Images with the highest values")
    assert [tile["label"] for tile in shown] == [
        f"Test image {k}, a {data.test_labels[k]}: {highest[k]:.2f}" for k in strongest
    ]
    before = _right(loaded, data.test_images, data.test_labels)
    convolution = loaded.network.get_submodule(_LAYER)
    assert isinstance(convolution, torch.nn.Conv2d)
    assert convolution.bias is not None
    with torch.no_grad():  # the same as the channel at zero
        convolution.weight[channel] = 0
        convolution.bias[channel] = 0
    after = _right(loaded, data.test_images, data.test_labels)
    assert (
        f"{100 * after.mean():.1f} % of the {len(before)} images are recognised instead of {100 * before.mean():.1f} %"
    ) in texts(app)
    losses = {k: before[data.test_labels == k].mean() - after[data.test_labels == k].mean() for k in range(10)}
    worst = max(losses, key=losses.__getitem__)
    assert losses[worst] > 0
    assert f"Most affected: {worst} (" in texts(app)


def test_buttons_lead_to_the_neighbouring_channels(env_home: None, run: RunRecord) -> None:
    app = open_inside(run=run.id, view="maps", layer="features.conv1", channel="4")
    for label, channel in (("Next", "5"), ("Previous", "4")):
        next(button for button in app.button if button.label == label).click().run()
        assert app.query_params["channel"] == channel
        assert f"**Channel {channel}**" in texts(app)
    disabled = {
        channel: [button.label for button in _open_channel(run, channel).button if button.disabled]
        for channel in ("0", "2", "5")
    }
    assert disabled == {"0": ["Previous"], "2": [], "5": ["Next"]}
    next(button for button in app.button if button.label == "Close").click().run()
    assert "channel" not in app.query_params
    assert "Images with the highest values" not in texts(app)


def _open_channel(run: RunRecord, channel: str) -> AppTest:
    return open_inside(run=run.id, view="maps", layer="features.conv1", channel=channel)


def test_a_channel_on_which_no_prediction_depends_is_reported_as_such() -> None:
    answers = score_logits(np.eye(3), np.arange(3))
    study = ChannelStudy(np.zeros(0), np.zeros(0), np.zeros((0, 2)), answers, answers)
    assert describe(study, ("a", "b", "c")) == (
        "With this channel set to 0, 100.0 % of the 3 images are recognised instead of 100.0 % (+0.0 points): no "
        "prediction changes. The network does not need it for these images."
    )
    better = ChannelStudy(
        np.zeros(0), np.zeros(0), np.zeros((0, 2)), score_logits(np.eye(3)[[0, 0, 2]], np.arange(3)), answers
    )
    assert describe(better, ("a", "b", "c")).endswith(
        "100.0 % of the 3 images are recognised instead of 66.7 % (+33.3 points); 1 prediction changes. No class is "
        "recognised less often."
    )
    worse = ChannelStudy(
        np.zeros(0), np.zeros(0), np.zeros((0, 2)), answers, score_logits(np.eye(3)[[0, 0, 2]], np.arange(3))
    )
    assert describe(worse, ("a", "<b>", "c")).endswith(
        "(−33.3 points); 1 prediction changes. Most affected: <b> (100 % → 0 %)."
    )


def test_a_large_network_asks_before_it_searches(
    env_home: None, run: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_AT_ONCE", 1e6)
    monkeypatch.setattr(waiting, "_IMAGES_WORK", 1e6)
    app = open_inside(run=run.id, view="maps", epoch="1", layer=_LAYER, channel="2")
    assert "Searching for images to which this channel responds takes 84.61 M" in texts(app)
    next(button for button in app.button if button.label == "Do it anyway").click().run()
    assert "Of 100 test images, after epoch 1." in texts(app)


@pytest.mark.parametrize(
    ("side", "read_side", "rows", "columns", "expected"),
    [
        (8, 8, (1, 3), (4, 7), (slice(1, 4), slice(4, 8))),
        (28, 32, (0, 4), (28, 31), (slice(0, 5), slice(24, 28))),  # an image that the network resizes
        (8, 64, (20, 29), (0, 63), (slice(2, 4), slice(0, 8))),
    ],
)
def test_the_receptive_field_is_brightened_and_the_rest_darkened(
    side: int, read_side: int, rows: tuple[int, int], columns: tuple[int, int], expected: tuple[slice, slice]
) -> None:
    image = np.full((side, side, 3), 100, np.uint8)
    image[0, 0], image[-1, -1] = 0, 255
    before = image.copy()
    _highlight(image, rows, columns, read_side)
    inside = np.zeros((side, side), bool)
    inside[expected] = True
    assert (image[~inside] == (before[~inside] * 0.4).astype(np.uint8)).all()
    assert (image[inside] == np.round(56 + before[inside] * (199 / 255)).astype(np.uint8)).all()
