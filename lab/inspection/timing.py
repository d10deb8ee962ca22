"""Measures how long each layer takes for one batch on this machine."""

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from lab.devices import synchronise
from lab.formatting import plural
from lab.inspection.observe import evaluating


@dataclass(frozen=True, slots=True)
class LayerTime:
    """Median and spread (slowest minus fastest) of one layer's forward pass, in milliseconds."""

    name: str
    type: str
    median_ms: float
    spread_ms: float


@dataclass(frozen=True, slots=True)
class Timing:
    """Forward passes of one batch: each layer, and the whole network timed separately without hooks."""

    layers: tuple[LayerTime, ...]
    total_ms: float
    spread_ms: float
    repeats: int
    device: str

    def unclear_pairs(self) -> tuple[tuple[LayerTime, LayerTime], ...]:
        """Return pairs of layers, neighbours when sorted by median, whose difference is within their spread."""
        order = sorted(self.layers, key=lambda layer: -layer.median_ms)
        return tuple(
            (slow, quick)
            for slow, quick in pairwise(order)
            if slow.median_ms - quick.median_ms <= max(slow.spread_ms, quick.spread_ms)
        )

    def caution(self) -> str:
        """Return a caution about the order of the layers, "" if every difference exceeds the spread."""
        pairs = self.unclear_pairs()
        if not pairs:
            return ""
        slow, quick = pairs[0]
        which = (
            f"{slow.name} ({slow.median_ms:.3f} ± {slow.spread_ms:.3f} ms) and {quick.name} ({quick.median_ms:.3f} ± "
        )
        which += f"{quick.spread_ms:.3f} ms)"
        if len(pairs) == len(self.layers) - 1:
            return (
                f"The spread exceeds every difference, such as that of {which}: "
                "this order may be chance. Measure again."
            )
        others = plural(len(pairs) - 1, "more pair")
        rest = f" and {others} of neighbours in this order" if len(pairs) > 1 else ""
        return f"The spread exceeds the difference of {which}{rest}: which of them is slower may be chance."


def time_layers(network: nn.Module, x_BCHW: Tensor, *, repeats: int = 7) -> Timing:
    """Return the time of every layer's forward pass in eval mode on the batch's device, after one warm-up pass."""
    seen: dict[str, list[float]] = defaultdict(list)
    leaves = [(name, module) for name, module in network.named_modules() if name and not any(module.children())]
    with evaluating(network), torch.inference_mode():
        network(x_BCHW)
        totals = [_timed(network, x_BCHW) for _ in range(repeats)]
        handles = [handle for name, module in leaves for handle in _watch(name, module, seen, x_BCHW.device)]
        try:
            for _ in range(repeats):
                network(x_BCHW)
        finally:
            for handle in handles:
                handle.remove()
    layers = tuple(
        LayerTime(name, type(module).__name__, statistics.median(seen[name]), max(seen[name]) - min(seen[name]))
        for name, module in leaves
        if name in seen
    )
    return Timing(layers, statistics.median(totals), max(totals) - min(totals), repeats, str(x_BCHW.device))


def _timed(network: nn.Module, x_BCHW: Tensor) -> float:
    synchronise(x_BCHW.device)
    start = time.perf_counter()
    network(x_BCHW)
    synchronise(x_BCHW.device)
    return (time.perf_counter() - start) * 1e3


def _watch(name: str, module: nn.Module, seen: dict[str, list[float]], device: torch.device) -> list[Any]:
    started = 0.0

    def before(_module: nn.Module, _inputs: Any) -> None:
        nonlocal started
        synchronise(device)
        started = time.perf_counter()

    def after(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        synchronise(device)
        seen[name].append((time.perf_counter() - started) * 1e3)

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
