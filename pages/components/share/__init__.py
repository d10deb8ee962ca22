"""A panel in the header of every page with a link to the current view, to copy or to scan.

The browser reads the address when the panel is opened, so that it is the one in the address bar; its QR code comes from
the lab's own route.
"""

import io

import segno
import streamlit as st

from lab.errors import InputError
from pages.components.base import component
from pages.state.keys import element

_KEY = "share"
QR_ROUTE = "/assets/qr.svg"
MAX_CHARACTERS = 2000  # a QR code holds at most 2,953 bytes, and dense codes are hard to scan
_QUIET_ZONE = 4  # modules, ISO/IEC 18004 section 9.1


def share_link(*, embeds: bool) -> None:
    """Draw the button that opens the panel; in a frame of another site, it opens the view in the lab instead.

    embeds: whether other sites may show the lab in a frame, so that the panel also has the HTML for this.
    """
    with st.container(key=element("share-link")):
        component("share")(
            key=_KEY,
            data={"qr": QR_ROUTE, "most": MAX_CHARACTERS, "embeds": embeds, "embedded": bool(st.context.is_embedded)},
        )


def qr_svg(text: str) -> bytes:
    """Return a QR code as an SVG document, dark on white. Raises `InputError` if the text is empty or too long."""
    if not 0 < len(text) <= MAX_CHARACTERS:
        raise InputError(
            f"The link has {len(text):,} characters, but a QR code can have 1 to {MAX_CHARACTERS:,}. Choose fewer "
            "runs, or copy the link."
        )
    code = segno.make_qr(text, error="l", boost_error=True)
    out = io.BytesIO()
    code.save(out, kind="svg", xmldecl=False, nl=False, border=_QUIET_ZONE, light="#fff", dark="#000", omitsize=True)
    return out.getvalue()
