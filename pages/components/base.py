"""Registration of our components: their files, the URLs of their scripts, and the values that they report.

A component is a folder with `<name>.js` and, if needed, `.css` and `.html`. The scripts are ES modules that our own
route serves, so that a message of Streamlit carries two lines instead of a script, and modules share what they import.
Their URL has a digest of all scripts: browsers can cache them, and another release has other URLs.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from pages.state.session import reported

_HERE = Path(__file__).parent
SCRIPTS = {
    path.relative_to(_HERE).as_posix(): path for path in sorted(_HERE.rglob("*.js")) if ".test." not in path.name
}
DIGEST = hashlib.sha256(b"".join(path.read_bytes() for path in SCRIPTS.values())).hexdigest()[:12]
_ROOT = "/assets/components"
SCRIPT_ROUTE = _ROOT + "/{digest}/{script:path}"


@cache
def component(name: str, *, isolate_styles: bool = True) -> Any:
    """Return Streamlit's renderer of a component, which is registered at the first call.

    isolate_styles: False for components that draw with Plotly, which writes its styles into the page.
    """

    def text(ending: str) -> str:
        path = _HERE / name / f"{name}.{ending}"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    return st.components.v2.component(
        f"convlab_{name}",
        html=text("html") or "<span></span>",
        css=(_HERE / "shared" / "base.css").read_text(encoding="utf-8") + text("css"),
        js=loader(f"{name}/{name}.js"),
        isolate_styles=isolate_styles,
    )


def loader(script: str) -> str:
    """Return a module that imports a script. Streamlit loads it as a blob, which can only import absolute URLs."""
    if script not in SCRIPTS:
        raise KeyError(f"there is no script {script!r}: it must be one of {', '.join(SCRIPTS)}")
    address = f"{_ROOT}/{DIGEST}/{script}"
    return f"const script = await import(`${{location.origin}}{address}`);\nexport default script.default;\n"


def nothing() -> None:
    """Do nothing. A component needs a callback for its value to be available and the page to rerun."""


def reported_value(key: str, name: str) -> Any:
    """Return one value that a component has reported, None before its first report."""
    value = reported(key)
    return None if value is None else value.get(name)
