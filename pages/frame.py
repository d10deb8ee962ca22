"""The frame around every page: set-up, styles, navigation, and the handler of errors that a page did not catch."""

import logging
import os

import streamlit as st

from lab.charts.style import text_colour
from lab.errors import LabError
from lab.settings import embedding_sites
from pages.cache.lab import get_lab, warm_worker
from pages.cache.torch_import import settle_torch
from pages.components.nav import follow_navigation
from pages.components.share import share_link
from pages.markdown import with_code
from pages.registry import list_pages, page_path
from pages.state.session import known_outage, note_outage
from pages.widgets.frame import redraw_after_outage, show_errors
from pages.widgets.theme import dark

_log = logging.getLogger(__name__)
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 148 32" width="148" height="32">
<g fill="none" stroke="#2f86cf" stroke-width="2.4" stroke-linejoin="round">
<rect x="2" y="9" width="14" height="14" rx="3"/>
<path d="M9 9V6a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-5"/></g>
<rect x="6.2" y="13.2" width="5.6" height="5.6" rx="1.2" fill="#e08a1e"/>
<text x="34" y="22.5" font-family="Source Sans, Source Sans Pro, Segoe UI, Helvetica, Arial, sans-serif" font-size="20"
 font-weight="600" letter-spacing="0.2" fill="{ink}">ConvLab</text></svg>"""
_MARK = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 26 26" width="26" height="26">
<g fill="none" stroke="#2f86cf" stroke-width="2.4" stroke-linejoin="round" transform="translate(0 -1)">
<rect x="2" y="9" width="14" height="14" rx="3"/>
<path d="M9 9V6a2 2 0 0 1 2-2h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-5"/></g>
<rect x="6.2" y="12.2" width="5.6" height="5.6" rx="1.2" fill="#e08a1e"/></svg>"""

# In a frame, Streamlit leaves its header without a toolbar: it would cover the title with the logo. What is sticky
# below it moves up.
_EMBEDDED_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding-top: 0.8rem; }
[data-testid="stMain"] { scroll-padding-top: 1rem; }
[data-testid="stHeader"] { display: none; }
[data-testid="stLayoutWrapper"]:has(> .st-key-share-link) { position: absolute; right: 0.8rem; }
[data-testid="stLayoutWrapper"]:has(> .st-key-inside-epochs), .st-key-cost-card { top: 0.5rem !important; }
</style>"""

_NOT_JUDGED = (
    "Runs of an earlier release have not been checked yet, so a run that diverged may be listed as finished. Open this "
    "lab once without LAB_READ_ONLY to check them."
)


def navigation() -> None:
    """Set up the page, draw the navigation and run the chosen page."""
    # Without an icon of its own, a page would load its navigation icon from a font host.
    st.set_page_config(page_title="ConvLab", page_icon=_MARK, layout="wide")
    st.logo(_LOGO.format(ink=text_colour(dark=dark())), size="large", icon_image=_MARK)
    sections: dict[str, list[st.Page]] = {}
    for spec in list_pages():
        page = st.Page(
            page_path(spec.name), title=spec.title, icon=spec.icon, url_path=spec.name, default=spec.name == "home"
        )
        sections.setdefault(spec.section, []).append(page)
    embedded = bool(st.context.is_embedded)
    if embedded:
        st.html(_EMBEDDED_STYLE)
    chosen = st.navigation(sections, expanded=True, position="hidden" if embedded else "sidebar")
    if chosen.title != "Home":
        st.set_page_config(page_title=f"{chosen.title} · ConvLab")
    follow_navigation(chosen.url_path or "home", dark=dark())
    share_link(embeds=bool(embedding_sites(os.environ)))
    note_outage("")  # forget an outage seen by an earlier run of the script
    with show_errors():
        warm_worker()
        settle_torch()
        _warn()
        chosen.run()
    if known_outage():
        redraw_after_outage()


def _warn() -> None:
    """Warn above every page of what its lists cannot show: runs lost in a damaged file, and runs not checked yet."""
    try:
        store = get_lab().store
        warnings = [*store.integrity.warnings()]
        if store.read_only and store.findings.list_without_findings(limit=1):
            warnings.append(_NOT_JUDGED)
    except LabError:  # a page that needs the store reports this itself; the others work without it
        return
    for warning in warnings:
        st.warning(with_code(warning), icon=":material/warning:")


def report_bug(error: Exception) -> bool:
    """Handle an error that a page, a fragment or a callback did not catch.

    A `LabError` is shown as its message. Any other error is a bug: its traceback goes to the log, a neutral message to
    the page. Returns True, so that Streamlit shows nothing more.
    """
    if isinstance(error, LabError):
        st.error(with_code(str(error)), icon=":material/error:")
        return True
    _log.error("a page failed", exc_info=error)
    st.error(
        "This page ran into an error; the server's log has the details. Runs and results are safe. Reload the page, or "
        "go to another one.",
        icon=":material/bug_report:",
    )
    return True
