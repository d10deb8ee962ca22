"""Escaping, so that Markdown shows a text literally. Numbers and their units stay on one line."""

from lab.formatting import unbroken
from lab.text import escaped


def plain(text: str) -> str:
    """Return a text escaped so that Markdown shows it literally, and hidden characters as their escape sequences."""
    text = unbroken(escaped(text, lines=True))
    for mark in "\\`*_{}[]()#+-.!|<>~$:":
        text = text.replace(mark, "\\" + mark)
    return text


def with_code(text: str) -> str:
    """Return a text escaped so that Markdown shows it literally, except for commands in backticks, shown as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # an unclosed backtick
        return plain(text)
    return "".join(_code(part) if at % 2 else plain(part) for at, part in enumerate(parts))


def _code(text: str) -> str:
    return f"`{escaped(text)}`" if text.strip() else plain(f"`{text}`")
