"""A network without weights as a hashable record, used as a cache key."""

from dataclasses import dataclass
from typing import Any

from lab.config import RunConfig
from lab.data.registry import get_dataset_spec
from lab.data.spec import DatasetSpec

# A network without a run is shown for this data set's image size and channels.
DESIGN_DATA = get_dataset_spec(RunConfig().dataset)


@dataclass(frozen=True, slots=True)
class Design:
    """A network without weights: id, input size ("auto", "native", …), options as sorted pairs, and its data set's images.

    image_shape: channels, height and width of an image before it is resized for the network.
    """

    arch: str
    input_size: str
    options: tuple[tuple[str, object], ...]
    classes: int
    image_shape: tuple[int, int, int]

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_network`."""
        return {
            "input_size": self.input_size,
            "classes": self.classes,
            "image_size": self.image_shape[-1],
            "channels": self.image_shape[0],
            "options": {name: list(v) if isinstance(v, tuple) else v for name, v in self.options},
        }


def design_of(arch: str, input_size: str, options: dict[str, Any], data: DatasetSpec = DESIGN_DATA) -> Design:
    """Return a network, its input size, its options and the shape of its images as one hashable record."""
    pairs = tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sorted(options.items()))
    return Design(arch, input_size, pairs, len(data.classes), data.image_shape)
