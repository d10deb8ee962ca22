"""Options of networks as their widgets hold them: lists as text, layers one per line."""

from typing import Any

from lab.architectures.layer_list import add_layers, lines_of
from lab.architectures.registry import ArchOption
from pages.state.codec import whole_number
from pages.state.session import put, value_of


def option_text(option: ArchOption, value: Any) -> Any:
    """Return an option's value in the form in which its widget holds it: a list as text, layers one per line."""
    if option.is_layer_list:
        return lines_of(value)
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def parse_numbers(text: str) -> list[int] | str:
    """Return the whole numbers of a text such as "32, 64, 128"; any other text is returned for the check to refuse."""
    parts = text.replace(",", " ").split()
    numbers = [number for part in parts if (number := whole_number(part)) is not None]
    return numbers if parts and len(numbers) == len(parts) else text


def count_lines(widget: dict[str, Any]) -> int:
    """Return the number of lines of a text. widget: its key and related arguments."""
    return str(value_of(widget["key"], "")).count("\n") + 1


def append_layers(widget: dict[str, Any], added: str) -> None:
    """Add layers to the text of a widget, in a callback."""
    put(widget["key"], add_layers(str(value_of(widget["key"], "")), added))
    if "on_change" in widget:
        widget["on_change"](*widget["args"])
