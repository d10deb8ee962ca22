"""Measured layer times, with a caution if their spread exceeds their differences."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from lab.inspection.timing import LayerTime, Timing, time_layers


def timing(*layers: tuple[str, float, float]) -> Timing:
    return Timing(tuple(LayerTime(name, "Conv2d", ms, spread) for name, ms, spread in layers), 1.0, 0.1, 7, "cpu")


def test_clear_differences_need_no_caution() -> None:
    assert timing(("conv1", 1.0, 0.1), ("conv2", 2.0, 0.2), ("fc", 0.5, 0.1)).caution() == ""
    assert timing(("only", 1.0, 5.0)).caution() == ""


def test_layers_whose_difference_is_within_the_spread_are_named() -> None:
    found = timing(("conv1", 1.0, 0.1), ("conv2", 1.05, 0.2), ("fc", 0.2, 0.01))
    assert [(a.name, b.name) for a, b in found.unclear_pairs()] == [("conv2", "conv1")]
    assert found.caution() == (
        "The spread exceeds the difference of conv2 (1.050 ± 0.200 ms) and conv1 (1.000 ± 0.100 ms): which of them is "
        "slower may be chance."
    )


def test_an_order_that_is_all_noise_is_reported_as_such() -> None:
    found = timing(("a", 1.0, 2.0), ("b", 0.9, 2.0), ("c", 0.8, 2.0)).caution()
    assert found.startswith("The spread exceeds every difference")
    assert found.endswith("Measure again.")


def test_every_layer_is_timed_once() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU())
    found = time_layers(network, torch.zeros(2, 1, 4, 4), repeats=3)
    assert [layer.name for layer in found.layers] == ["0", "1", "2"]


def test_the_larger_spread_of_two_layers_decides() -> None:
    for first, second in ((0.01, 0.3), (0.3, 0.01)):
        found = timing(("slow", 1.2, first), ("quick", 1.0, second), ("far", 0.1, 0.01))
        assert [(a.name, b.name) for a, b in found.unclear_pairs()] == [("slow", "quick")]


class _Slow(nn.Module):
    """A layer that advances a clock by 20 ms; nothing else advances it."""

    now = 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.now += 0.02
        return x


def test_times_are_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = _Slow()
    monkeypatch.setattr("lab.inspection.timing.time", SimpleNamespace(perf_counter=lambda: slow.now))
    found = time_layers(nn.Sequential(slow, nn.Flatten()), torch.zeros(1, 1, 2, 2), repeats=3)
    assert [layer.median_ms for layer in found.layers] == pytest.approx([20.0, 0.0])
    assert found.total_ms == pytest.approx(20.0)


class _Uneven(_Slow):
    """A layer that advances its clock by a different time in each pass; the first pass only warms up."""

    times = (0.1, 0.001, 0.002, 0.010, 0.020, 0.005, 0.015)
    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.now += self.times[self.calls]
        self.calls += 1
        return x


def test_uneven_times_are_reported_as_median_and_full_range(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = _Uneven()
    monkeypatch.setattr("lab.inspection.timing.time", SimpleNamespace(perf_counter=lambda: layer.now))
    found = time_layers(nn.Sequential(layer, nn.Flatten()), torch.zeros(1, 1, 2, 2), repeats=3)
    assert (found.total_ms, found.spread_ms) == pytest.approx((2.0, 9.0))
    assert (found.layers[0].median_ms, found.layers[0].spread_ms) == pytest.approx((15.0, 15.0))
    assert (found.layers[1].spread_ms, found.repeats, found.device) == (0.0, 3, "cpu")
    assert layer.calls == 1 + 3 + 3
