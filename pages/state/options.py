"""Options of networks as their widgets hold them: lists as text."""

from typing import Any

from lab.architectures.layer_list import lines_of
from lab.architectures.registry import ArchOption
from pages.state.codec import whole_number


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
