"""Text that Markdown shows as it is written."""

from lab.text import escaped


def plain(text: str) -> str:
    """Return text that Markdown shows as it is written, hidden characters as their escapes."""
    text = escaped(text, lines=True)
    for mark in "\\`*_{}[]()#+-.!|<>~$:":
        text = text.replace(mark, "\\" + mark)
    return text
