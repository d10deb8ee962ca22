"""Text that Markdown shows as it is written."""

from lab.text import escaped


def plain(text: str) -> str:
    """Return text that Markdown shows as it is written, hidden characters as their escapes."""
    text = escaped(text, lines=True)
    for mark in "\\`*_{}[]()#+-.!|<>~$:":
        text = text.replace(mark, "\\" + mark)
    return text


def with_code(text: str) -> str:
    """Return text that Markdown shows as it is written, but for commands between backquotes, which it shows as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backquote that nothing closes
        return plain(text)
    return "".join(_code(part) if at % 2 else plain(part) for at, part in enumerate(parts))


def _code(text: str) -> str:
    return f"`{escaped(text)}`" if text.strip() else plain(f"`{text}`")
