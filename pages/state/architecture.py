"""The state of the Architecture page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.architectures.registry import Architecture, list_architectures
from lab.config import INPUT_SIZES
from pages.state.address import address, complain, refuse_parameters, went_back
from pages.state.codec import one_of, param, params_of, whole
from pages.state.form_address import is_option, read_options, write_options
from pages.state.linked import show_parts
from pages.state.options import option_text
from pages.state.page_state import PageState

VIEWS = {"layers": "Layers", "graph": "Graph", "compare": "Compare", "time": "Measured time"}
LARGEST_BATCH = 65_536


def _networks() -> list[str]:
    return [arch.id for arch in list_architectures()]


@dataclass(frozen=True, slots=True)
class ArchitectureState:
    """A network, the one that it is compared with, and the view.

    option: what the widgets of options hold, by network and option. link, problems, understood: the options in the
    address (`pages.state.linked`). detail: level of the graph, by network. selected: modules of the selected box.
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
    link: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    understood: Mapping[str, str] | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
    selected: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()
    times: Mapping[str, Any] = field(default_factory=dict)


ARCHITECTURE = PageState(ArchitectureState, key="arch")


def refuse_unknown() -> None:
    """Show an error for each parameter in the address that is neither a field nor an option of a network."""
    refuse_parameters([each.name for each in params_of(ArchitectureState).values()] + list(_link()))


def take_options(arch: Architecture) -> None:
    """Apply the network's options in the address if they are new, and report those that are ignored."""
    link = _link()
    if not link and ARCHITECTURE.read().link and went_back():
        set_options(arch, {})
    if link and link != ARCHITECTURE.read().link:
        options, problems = read_options(arch, link)
        set_options(arch, options)
        ARCHITECTURE.change(link=link, problems=problems, understood=None)
    for problem in ARCHITECTURE.read().problems:
        complain(problem)


def set_options(arch: Architecture, options: Mapping[str, Any]) -> None:
    """Set all options of a network, in a callback or before their widgets are created. options: those that differ."""
    texts = {
        f"{arch.id}.{option.name}": option_text(option, options.get(option.name, option.default))
        for option in arch.options
    }
    ARCHITECTURE.change(option={**ARCHITECTURE.read().option, **texts})


def show_options(options: Mapping[str, Any]) -> None:
    """Write a network's options to the address. options: those that differ from its defaults."""
    others = {name: text for name, text in address().items() if not is_option(name)}
    show_parts(ARCHITECTURE, write_options(options), shown=_link(), others=others)


def open_network(arch: Architecture, size: str, options: Mapping[str, Any]) -> None:
    """Show another network, in a callback."""
    ARCHITECTURE.change(arch=arch.id, size=size)
    set_options(arch, options)
    for field_name in ("arch", "size"):
        ARCHITECTURE.show(field_name)


def _link() -> dict[str, str]:
    return {name: text for name, text in address().items() if is_option(name)}
