"""What every component of ours is registered with: its files, the address of its script, and what it has reported.

A component is a folder with `<name>.js`, `.css` and `.html`, where there is need. The scripts are ES modules that our own
route serves, so that a message of Streamlit carries two lines instead of a script, and modules share what they import.
Their address holds a digest of all of them: a browser keeps them, and another release has other addresses.
"""

import base64
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
    """Return the renderer that Streamlit gives for a component, registered at the first call.

    isolate_styles: not for those that draw with Plotly, which writes its styles into the page.
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
    """Return the module that stands for a script; it is a blob, from which only whole addresses can be imported."""
    if script not in SCRIPTS:
        raise KeyError(f"there is no script {script!r}: it must be one of {', '.join(SCRIPTS)}")
    address = f"{_ROOT}/{DIGEST}/{script}"
    return f"const script = await import(`${{location.origin}}{address}`);\nexport default script.default;\n"


def nothing() -> None:
    """Do nothing more: a callback makes the component's value available and the page run again."""


def reported_value(key: str, name: str) -> Any:
    """Return one value that a component has reported, None before it has."""
    value = reported(key)
    return None if value is None else value.get(name)


def data_url(png: bytes) -> str:
    """Return a PNG as an address that holds the picture itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode()
