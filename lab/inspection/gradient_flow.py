"""What flows back through a network in one training step, layer by layer: records, quantities, and their reading.

`lab.inspection.gradients` computes the records. This module needs no torch, so that pages and charts import it freely.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lab.formatting import format_percent, format_wide_percent


@dataclass(frozen=True, slots=True)
class Magnitudes:
    """How the absolute values of a tensor are distributed.

    norm: 2-norm. low, middle, high: 5th, 50th and 95th percentile of those that are not zero, NaN if there are none or
    one is not finite. zeros: share of exact zeros.
    """

    norm: float
    low: float
    middle: float
    high: float
    zeros: float


@dataclass(frozen=True, slots=True)
class LayerFlow:
    """One layer with weights in one training step. Biases are not part of any number.

    count: number of weights. gradient: of the loss with respect to the weights; None if the layer is frozen or the loss
    does not depend on it. zeros: share of the values after the layer's activation that are exactly 0. dead: share of
    its units (channels of maps) that are 0 at every position for every image. Both are None if no activation follows,
    NaN if values are not finite. change: 2-norm of the change of the weights since the previous saved epoch, relative
    to their norm then; None before training.
    """

    name: str
    type: str
    count: int
    weights: Magnitudes
    gradient: Magnitudes | None
    zeros: float | None
    dead: float | None
    change: float | None = None

    @property
    def label(self) -> str:
        """The layer's name as the views show it."""
        return self.name.removeprefix("features.")

    @property
    def rms(self) -> float | None:
        """Root mean square of the gradient's entries, which layers of different sizes can be compared by."""
        return None if self.gradient is None else self.gradient.norm / math.sqrt(self.count)

    @property
    def ratio(self) -> float | None:
        """Norm of the gradient relative to that of the weights, infinite for weights that are all zero."""
        return None if self.gradient is None else quotient(self.gradient.norm, self.weights.norm)


@dataclass(frozen=True, slots=True)
class EpochFlow:
    """The layers of a network after an epoch (0: before training), in the order in which they run."""

    epoch: int
    layers: tuple[LayerFlow, ...]

    def with_changes(self, changes: Mapping[str, float]) -> "EpochFlow":
        """Return the same with the changes of the weights by layer."""
        return replace(self, layers=tuple(replace(layer, change=changes.get(layer.name)) for layer in self.layers))


@dataclass(frozen=True, slots=True)
class FlowQuantity:
    """A number of a layer. log: it spans powers of ten. share: it is written in per cent."""

    title: str
    help: str
    read: Callable[[LayerFlow], float | None]
    log: bool = False
    share: bool = False


QUANTITIES: Mapping[str, FlowQuantity] = {
    "gradient": FlowQuantity(
        "Gradient", "Root mean square of the gradient of the loss with respect to a weight.", lambda f: f.rms, log=True
    ),
    "ratio": FlowQuantity(
        "Gradient ÷ weights",
        "Norm of the gradient divided by that of the weights: how much the loss asks a layer to change.",
        lambda f: f.ratio,
        log=True,
    ),
    "change": FlowQuantity(
        "Weight change",
        "Norm of the change since the previous saved epoch, divided by that of the weights then: how much it learned.",
        lambda f: f.change,
        log=True,
        share=True,
    ),
    "zeros": FlowQuantity(
        "Zero outputs",
        "Share of the values after the activation that are exactly 0; ReLU passes no gradient back there.",
        lambda f: f.zeros,
        share=True,
    ),
    "dead": FlowQuantity(
        "Dead units",
        "Share of the channels or units that are 0 for every image of the batch, so that no gradient reaches them.",
        lambda f: f.dead,
        share=True,
    ),
}


def quotient(part: float, whole: float) -> float:
    """Return part ÷ whole of two norms: 0 ÷ 0 is 0, and a positive number ÷ 0 infinite."""
    if whole:
        return part / whole
    return math.inf if part > 0 else part


# Before training, the first layer's gradient is 0.25 to 2.8 times that of the last in the lab's networks with ReLU or
# tanh, and 51 times in MobileNet. It is 1/140 to 1/900 with sigmoid, whose derivative, at most 1/4, is a factor for
# each layer in between (1/32 with batch norm, in LeNet-5), and 1/450 to 1/2,000,000 in VGG-11, GoogLeNet and VGG-19:
# deep, without batch norm, and with PyTorch's usual initial weights.
VANISHES = 30.0  # times smaller
EXPLODES = 300.0  # times larger
MANY_DEAD = 0.5  # share of a layer's units; a few are dead in most ReLU networks, without harm
_NAMED = 3  # layers


def read_flow(flow: EpochFlow) -> tuple[str, ...]:
    """Return what the numbers of an epoch mean, as sentences: the gradient's way back first."""
    broken = [layer for layer in flow.layers if not _is_finite(layer)]
    if broken:
        return (f"Weights or gradients of {_names(broken)} are not finite because the training diverged.",)
    sentences = (_read_way(flow), _read_blocked(flow), _read_dead(flow), _read_frozen(flow), _read_changes(flow))
    return tuple(sentence for sentence in sentences if sentence)


def _is_finite(layer: LayerFlow) -> bool:
    return math.isfinite(layer.weights.norm) and math.isfinite(layer.rms or 0.0)


def _read_way(flow: EpochFlow) -> str:
    """Return how the gradient of the first trained layer compares with that of the last, "" if one of them is 0."""
    known = [(layer.label, layer.rms) for layer in flow.layers if layer.rms is not None]
    if len(known) < 2 or not (known[0][1] and known[-1][1]):
        return ""
    (first, early), (last, late) = known[0], known[-1]
    if late > VANISHES * early:
        times = f"{_rounded(late / early)} times smaller than"
        return f"The gradient of {first} is {times} that of {last}: it vanishes on the way back."
    if early > EXPLODES * late:
        times = f"{_rounded(early / late)} times larger than"
        return f"The gradient of {first} is {times} that of {last}: it explodes on the way back."
    factor = _rounded(max(early, late) / min(early, late))
    return (
        f"The gradients of {first} and {last} differ by a factor of {factor}: the gradient neither vanishes nor "
        "explodes on the way back."
    )


def _read_blocked(flow: EpochFlow) -> str:
    blocked = [layer for layer in flow.layers if layer.rms == 0]
    return f"The gradient is exactly 0 in {_names(blocked)}: nothing is learned there." if blocked else ""


def _read_dead(flow: EpochFlow) -> str:
    """Return which layer has the largest share of dead units, if that is large."""
    worst = max(flow.layers, key=lambda layer: layer.dead or 0.0, default=None)
    if worst is None or worst.dead is None or worst.dead < MANY_DEAD:
        return ""
    share = format_percent(worst.dead, digits=0)
    return f"{share} of the units of {worst.label} are dead: their output is 0 for every image of the batch."


def _read_frozen(flow: EpochFlow) -> str:
    frozen = [layer for layer in flow.layers if layer.gradient is None]
    return f"Not trained (frozen): {_names(frozen)}." if frozen else ""


def _read_changes(flow: EpochFlow) -> str:
    """Return which layers changed least and most since the previous saved epoch."""
    known = [(layer.change, layer.label) for layer in flow.layers if layer.change is not None and layer.gradient]
    if len(known) < 2:
        return ""
    (low, least), (high, most) = min(known), max(known)
    low_text, high_text = map(format_wide_percent, (low, high))
    return f"Since the previous saved epoch, the weights changed by {low_text} ({least}) to {high_text} ({most})."


def _names(layers: Sequence[LayerFlow]) -> str:
    names = [layer.label for layer in layers]
    more = [f"{len(names) - _NAMED} more layers"] if len(names) > _NAMED + 1 else names[_NAMED:]
    *first, last = [*names[:_NAMED], *more]
    return f"{', '.join(first)} and {last}" if first else last


def _rounded(factor: float) -> str:
    """Return a factor with two significant digits, such as "0.52", "3,400" or "2e+12"."""
    return f"{float(f'{factor:.2g}'):,.10g}" if factor < 1e6 else f"{factor:.0e}"
