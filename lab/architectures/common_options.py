"""Options shared by several networks. No torch."""

from lab.architectures.activations import ACTIVATIONS, OFFERED
from lab.architectures.spec import ArchOption
from lab.config import Option


def widths(*defaults: int, low_items: int | None = None, high_items: int | None = None) -> ArchOption:
    """Return the option for the channels of each convolution: as many as defaults, or `low_items` to `high_items`."""
    value: Option = list(defaults)
    items = (low_items or len(defaults), high_items or len(defaults))
    return ArchOption("widths", list, value, "Output channels of each convolution.", 1, 4096, items=items)


def dropout(default: float) -> ArchOption:
    """Return the option for the dropout probability."""
    return ArchOption("dropout", float, default, "Share of the activations set to zero in training.", 0.0, 0.95)


def hidden(default: int) -> ArchOption:
    """Return the option for the width of the hidden linear layer."""
    return ArchOption("hidden", int, default, "Units of the hidden linear layer.", 1, 16_384)


def batch_norm(default: bool) -> ArchOption:
    """Return the option for batch normalisation after convolutions."""
    return ArchOption("batch_norm", bool, default, "Normalise each channel over the batch after a convolution.")


def activation() -> ArchOption:
    """Return the option for the activation function."""
    text = (
        "Function after each convolution and each hidden linear layer; with none, the network is linear up to pooling."
    )
    titles = {name: ACTIVATIONS[name].title for name in OFFERED}
    return ArchOption("activation", str, OFFERED[0], text, choices=OFFERED, choice_titles=titles)
