"""The styles of the frame and of what Home shows first, which the server adds to the page itself.

Styles in a script run's output arrive with it, after Streamlit's own scripts: until then, what they hide is shown and
what they arrange is not. `pages.server.shell` adds them.
"""

from pathlib import Path


def shell_styles() -> str:
    """Return all styles of this folder as one text."""
    return "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.css")))
