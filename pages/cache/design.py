"""A network without weights, as a hashable record to cache by."""

from dataclasses import dataclass
from typing import Any

from lab.architectures.registry import Architecture
from lab.config import RunConfig
from lab.data.registry import get_dataset_spec

# Whose image size and channels a network without a run is shown for.
DESIGN_DATA = get_dataset_spec(RunConfig().dataset)


@dataclass(frozen=True, slots=True)
class Design:
    """A network without weights: id, input size ("auto", "native", …), its options as sorted pairs, classes."""

    arch: str
    input_size: str
    options: tuple[tuple[str, object], ...]
    classes: int

    def arguments(self) -> dict[str, Any]:
        """Return what `build_network` is told beside the id."""
        return {
            "input_size": self.input_size,
            "classes": self.classes,
            "image_size": DESIGN_DATA.image_size,
            "channels": DESIGN_DATA.channels,
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options},
        }


def design_of(arch: Architecture, input_size: str, options: dict[str, Any], *, classes: int = 10) -> Design:
    """Return the choices as one hashable record."""
    pairs = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(options.items()))
    return Design(arch.id, input_size, pairs, classes)
