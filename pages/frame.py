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

# Streamlit pads a page by 6 rem at the top and 5 rem at the sides; charts, tables and forms need that space more. On
# devices without hover, a table's toolbar is always visible and would cover what is above it; the one of the table of
# runs would cover the choice of its order on every device. Streamlit's captions and selected segments have too little
# contrast. In the dark theme the primary blue is light enough to be read on the page, so text on top of it is dark.
# Streamlit's own Stop, which interrupts the script, would appear above the Stop of a training. The live view has its
# height reserved before it mounts, so that nothing below it moves, and so has the pad. An element that gets the focus is
# scrolled to a place where neither Streamlit's header nor what is fixed or sticky covers it.
_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: 4.4rem clamp(1rem, 3vw, 5rem) 4rem; max-width: 1320px; }
@media (max-width: 640px) { [data-testid="stMainBlockContainer"] { padding: 3.8rem 1rem 4rem; }
  [data-testid="stMainBlockContainer"] h1 { font-size: 1.9rem; padding: 0.4rem 0; overflow-wrap: anywhere; } }
[data-testid="stMain"] { scroll-padding: 4.5rem 0 1.5rem; }
/* Fingers: Streamlit's help icons have 16 px, its switches and the links of the navigation less than 30. */
@media (pointer: coarse) { [data-testid="stTooltipHoverTarget"] button { position: relative; }
  [data-testid="stTooltipHoverTarget"] button::after { content: ""; position: absolute; inset: -10px; }
  [data-testid="stCheckbox"] label { min-height: 2rem; }
  [data-testid="stSidebarNavLink"] { min-height: 2.5rem; } }
@media (hover: none) { [data-testid="stElementContainer"]:has([data-testid="stDataFrame"]) { margin-top: 1.9rem; } }
[data-testid="stElementContainer"][class*="st-key-runs-table-"] { margin-top: 1.9rem; }
@media (min-width: 1000px) { .st-key-cost-card { position: sticky; top: 4.5rem; } }
@media (max-width: 999px) { .st-key-train-bar { position: fixed; left: 0; right: 0; bottom: 0; z-index: 999980;
  width: auto; padding: 0.6rem 1rem calc(0.6rem + env(safe-area-inset-bottom));
  background: var(--st-background-color, Canvas); }
  [data-testid="stMainBlockContainer"]:has(.st-key-train-bar) { padding-bottom: 8rem; }
  [data-testid="stMain"]:has(.st-key-train-bar) { scroll-padding-bottom: 5rem; } }
[class*="st-key-recent-"] [data-testid="stPageLink"] p { white-space: normal; }
/* Streamlit marks links within a page, such as to a sweep from the list of sweeps, as the open page, and a link with the
   focus by a background of hardly another colour. */
[data-testid="stMain"] [data-testid="stPageLink-NavLink"]:not(:hover) { background: none; }
:is([data-testid="stPageLink-NavLink"], [data-testid="stSidebarNavLink"], [data-testid="stLogoLink"]):focus-visible {
  outline: 2px solid light-dark(#0b66a8, #2f86cf); }
/* A link is aligned with the text above and below it. */
:is([class*="st-key-recent-run-"], [class*="st-key-runs-example-line-"], [class*="st-key-sweep-line-"],
  .st-key-steps, .st-key-pages)
  [data-testid="stPageLink"] { margin-left: -0.5rem; }
/* In these rows, an element that is less tall than an input is centred on the inputs next to it. */
:is(.st-key-inside-chooser, [class*="st-key-sweep-vary-"]) [data-testid="stButtonGroup"] { padding-bottom: 0.25rem; }
[class*="st-key-sweep-vary-"] [data-testid="stMarkdown"] { padding-bottom: 0.45rem; }
[class*="st-key-origin-"] button p { text-align: left; }
.st-key-run-menu button > div { justify-content: flex-start; }
[data-testid="stStatusWidget"] { margin-right: 2.6rem; }
[data-testid="stStatusWidget"] button { display: none; }
.st-key-live-view:not(:has(.cl-live)) { min-height: 46rem; }
.st-key-draw-live { min-height: calc(min(var(--pad-side, 340px), 100vw - 2rem) + 48px); }
:is([class*="st-key-recent-"], [class*="st-key-live-line-"], [class*="st-key-queue-line-"],
  [class*="st-key-runs-example-line-"], [class*="st-key-sweep-line-"]) { row-gap: 0; }
[class*="st-key-runs-example-choose-"] button { min-height: 1.75rem; }
[data-testid="stLayoutWrapper"]:has(> .st-key-nav-again) { display: none; }
[data-testid="stLayoutWrapper"]:has(> .st-key-share-link) { position: fixed; top: 0.85rem; right: 3.2rem; width: 2rem;
  z-index: 999991; }
.st-key-cost-card [data-testid="stMetricValue"] { font-size: 1.15rem; }
:is([data-testid="stMetricLabel"], [data-testid="stMetricValue"]) :is(div, p) { white-space: normal;
  overflow: visible; }
div[data-testid="stCaptionContainer"] { color: inherit; opacity: 0.78; }
div[data-testid="stCaptionContainer"] code { font-size: 0.85em; }
[data-testid="stButtonGroup"] button[data-selected="true"] {
  color: inherit !important; position: relative; z-index: 1; }
[data-testid="stButtonGroup"] button:not([data-selected="true"], :hover) {
  border-inline-color: light-dark(#d9e0e8, #2d3846) !important; }
button[data-testid^="stBaseButton-primary"]:not(:disabled), span[data-tag-index], span[data-tag-index] * {
  color: light-dark(#ffffff, #0b0f15); }
button[data-testid^="stBaseButton-primary"]:not(:disabled):is(:hover, :active, :focus-visible) {
  background-color: light-dark(#095690, #56a3e2); border-color: light-dark(#095690, #56a3e2); }
</style>"""

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
    st.html(_STYLE)
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
