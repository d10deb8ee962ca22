"""What a channel responds to, and the answers without it, in networks whose answers are known."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lab.errors import InputError
from lab.inspection.channels import ChannelStudy, ClassChange, class_changes, study_channel
from lab.inspection.metrics import score_logits
from lab.inspection.observe import compute_logits


def _copies(*factors: float) -> nn.Conv2d:
    """Return a convolution whose channels are the first input channel times these factors."""
    layer = nn.Conv2d(1, len(factors), 1, bias=False)
    layer.weight.data = torch.tensor(factors).reshape(-1, 1, 1, 1)
    return layer


class _Bright(nn.Module):
    """Class 1 if the sum of `conv`'s first channel exceeds 0.5. Its second channel is the negative of the first."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.conv = _copies(1.0, -1.0)
        self.act = nn.ReLU(inplace=True)
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        total = self.act(self.conv(x_BCHW))[:, 0].sum((1, 2)) - 0.5
        return torch.stack((-total, total), 1) * self.gain


def _dots() -> tuple[np.ndarray, np.ndarray]:
    """Return five images (5, 4, 6): black, or with a dot of 51 · i at row i % 4, column i + 1."""
    images = np.zeros((5, 4, 6), np.uint8)
    for i in range(1, 5):
        images[i, i % 4, i + 1] = 51 * i
    return images, np.array([0, 0, 0, 1, 1])


def _study(network: nn.Module, layer: str, channel: int) -> ChannelStudy:
    return study_channel(network, *_dots(), layer=layer, channel=channel, mean=0.0, std=1.0)


def test_the_strongest_images_and_their_places_are_found() -> None:
    study = _study(_Bright(), "conv", 0)
    assert study.strongest.tolist() == [4, 3, 2, 1, 0]
    assert study.values.tolist() == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.0])
    assert study.places[:4].tolist() == [[0, 5], [3, 4], [2, 3], [1, 2]]


def test_values_before_an_in_place_activation_are_those_of_the_layer_itself() -> None:
    study = _study(_Bright(), "conv", 1)
    assert study.values.max() == 0
    negative = study_channel(
        _Bright(), np.full((1, 4, 4), 51, np.uint8), np.array([1]), layer="conv", channel=1, mean=0.0, std=1.0
    )
    assert negative.values.tolist() == pytest.approx([-0.2])


def test_the_answers_without_a_channel_are_those_of_a_network_that_has_it_at_zero() -> None:
    network = _Bright()
    needed, unused = _study(network, "conv", 0), _study(network, "conv", 1)
    assert needed.answers.right.all()
    assert needed.without.predicted.tolist() == [0, 0, 0, 0, 0]
    assert class_changes(needed) == [ClassChange(1, 1.0, 0.0), ClassChange(0, 1.0, 1.0)]
    assert (unused.without.predicted == unused.answers.predicted).all()
    assert not any(module._forward_hooks for module in network.modules()), "no hook is left"
    assert score_logits(compute_logits(network, _dots()[0], mean=0.0, std=1.0), _dots()[1]).right.all()


class _Shared(nn.Module):
    """One activation runs twice, first on one channel and then on three; the last of these decides."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = _copies(1.0), _copies(0.0, 0.0, 2.0), nn.ReLU()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        total = self.act(self.second(self.act(self.first(x_BCHW))))[:, 2].sum((1, 2)) - 1.0
        return torch.stack((-total, total), 1)


def test_of_a_layer_that_runs_twice_the_last_output_counts() -> None:
    last = _study(_Shared(), "act", 2)
    assert last.values[0] == pytest.approx(1.6)
    assert last.without.predicted.tolist() == [0] * 5
    other = _study(_Shared(), "act", 0)  # a channel of both outputs, of which only the first one matters
    assert (other.without.predicted == other.answers.predicted).all()
    assert other.values.tolist() == [0] * 5


class _Skip(nn.Module):
    """Dropout, which passes its input on in eval mode, beside a connection that skips it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = _copies(1.0), nn.Dropout(0.5)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        before = self.conv(x_BCHW)
        total = (before + self.drop(before)).sum((1, 2, 3)) - 0.7
        return torch.stack((-total, total), 1)


def test_a_connection_that_skips_the_layer_keeps_the_channel() -> None:
    study = _study(_Skip(), "drop", 0)
    assert study.answers.predicted.tolist() == [0, 0, 1, 1, 1]
    assert study.without.predicted.tolist() == [0, 0, 0, 0, 1]


def test_logits_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="for the test images are not finite because its training diverged"):
        _study(_Bright(math.nan), "conv", 0)


def test_many_images_are_classified_in_several_batches() -> None:
    images = np.zeros((700, 4, 4), np.uint8)
    images[:, 1, 2] = np.arange(700) % 256
    study = study_channel(
        _Bright(), images, (images[:, 1, 2] > 127).astype(int), layer="conv", channel=0, mean=0.0, std=1.0
    )
    assert study.strongest[:2].tolist() == [255, 511]
    assert len(study.strongest) == 12
    assert study.answers.right.all()
    assert study.without.accuracy == pytest.approx(1 - study.answers.predicted.mean())
