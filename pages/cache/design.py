"""A network without weights as a hashable record, used as a cache key."""

from dataclasses import dataclass
from typing import Any

from lab.architectures.registry import Architecture
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec

# A network without a run is shown for this data set's image size and channels.
DESIGN_DATA = get_dataset_spec(RunConfig().dataset)


@dataclass(frozen=True, slots=True)
class Design:
    """A network without weights: id, input size ("auto", "native", …), options as sorted pairs, number of classes."""

    arch: str
    input_size: str
    options: tuple[tuple[str, object], ...]
    classes: int

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_network`."""
        return {
            "input_size": self.input_size,
            "classes": self.classes,
            "image_size": DESIGN_DATA.image_size,
            "channels": DESIGN_DATA.channels,
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options},
        }


def design_of(arch: Architecture, input_size: str, options: dict[str, Any], *, classes: int = 10) -> Design:
    """Return a network, its input size and its options as one hashable record."""
    pairs = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(options.items()))
    return Design(arch.id, input_size, pairs, classes)
