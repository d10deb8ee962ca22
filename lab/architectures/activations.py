"""The activation functions of networks, by the names under which they are stored. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Activation:
    """title: the display name. layer: its class in `torch.nn`, "" for none. offered: whether options offer it."""

    title: str
    layer: str = ""
    offered: bool = True


ACTIVATIONS: Mapping[str, Activation] = {
    "relu": Activation("ReLU", "ReLU"),
    "relu6": Activation("ReLU6", "ReLU6", offered=False),
    "leaky_relu": Activation("leaky ReLU", "LeakyReLU"),
    "elu": Activation("ELU", "ELU"),
    "gelu": Activation("GELU", "GELU"),
    "silu": Activation("SiLU", "SiLU"),
    "tanh": Activation("tanh", "Tanh"),
    "sigmoid": Activation("sigmoid", "Sigmoid"),
    "none": Activation("none"),
}
OFFERED = tuple(name for name, activation in ACTIVATIONS.items() if activation.offered)
