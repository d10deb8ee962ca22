"""The state of the Architecture page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.architectures.registry import list_architectures
from lab.config import INPUT_SIZES
from pages.state.codec import one_of, param, whole
from pages.state.page_state import PageState

VIEWS = {"layers": "Layers", "graph": "Graph", "compare": "Compare", "time": "Measured time"}
LARGEST_BATCH = 65_536


def _networks() -> list[str]:
    return [arch.id for arch in list_architectures()]


@dataclass(frozen=True, slots=True)
class ArchitectureState:
    """A network, the one that it is compared with, and the view.

    option: values by network and option. detail: level of the graph, by network. selected: modules of the selected box.
    opened: blocks that are expanded into layers. times: measurements of this session with their time, by network and
    batch.
    """

    arch: str = param("lenet5", one_of(_networks))
    size: str = param("auto", one_of(INPUT_SIZES))
    batch: int = param(64, whole(1, LARGEST_BATCH))
    view: str = param("layers", one_of(VIEWS))
    other: str = param("lenet-bn", one_of(_networks), name="with")
    other_size: str = param("auto", one_of(INPUT_SIZES), name="with_size")
    option: Mapping[str, Any] = field(default_factory=dict)
    detail: Mapping[str, str] = field(default_factory=dict)
    selected: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    times: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURE = PageState(ArchitectureState, key="arch")
