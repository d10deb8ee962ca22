"""Inside: the inner workings of a trained network, at every saved epoch. One slider updates everything on the page.

The address carries run, epoch, view and image, so a link opens the same picture. An uploaded picture is not stored.
"""

import streamlit as st

from lab.lazy import load
from pages.cache.torch_import import require_torch
from pages.inside.subject import choose_moment, choose_run
from pages.state.inside import INSIDE
from pages.widgets.fork_form import fork_popover
from pages.widgets.frame import page_frame
from pages.widgets.theme import dark

_STYLE = """<style>
/* In a window as low as a phone held sideways, the slider would cover half of what it changes. */
@media (min-height: 560px) {{ [data-testid="stLayoutWrapper"]:has(> .st-key-inside-epochs) {{ position: sticky;
  top: 3.75rem; z-index: 50; }}
  [data-testid="stMain"]:has(.st-key-inside-epochs) {{ scroll-padding-top: 15rem; }} }}
.st-key-inside-epochs {{ background: {paper}; }}
[data-testid="stColumn"]:has(> * .st-key-inside-picture) {{ flex: 1 1 15.5rem; min-width: 15.5rem; }}
[data-testid="stColumn"]:has(> * .st-key-inside-picture) + [data-testid="stColumn"] {{ flex: 12 1 20rem;
  min-width: 20rem; }}
@media (min-width: 1000px) {{ [data-testid="stColumn"]:has(> * .st-key-inside-beside) {{ flex: 0 0 max-content;
  width: max-content; }}
  [data-testid="stColumn"]:has(+ [data-testid="stColumn"] > * .st-key-inside-beside) {{ flex: 1 1 18rem; width: auto;
    }} }}
.st-key-inside-view button {{ padding-inline: 0.55rem; }}  /* ten views in one row at 1280 px */
.st-key-inside-beside {{ min-height: 2.5rem; }}
@media (min-width: 641px) {{ .st-key-inside-answers-beside {{ display: grid; grid-template: auto auto 1fr / 1fr 1fr;
  column-gap: 1.5rem; }}
  .st-key-inside-answers-beside > * {{ grid-column: 1; min-width: 0; }}
  .st-key-inside-answers-beside > :has(> .st-key-inside-matrix-gallery) {{ grid-area: 1 / 2 / span 3; }} }}
</style>"""


def main() -> None:
    """Draw the page."""
    page_frame("Inside", "Move the slider and watch a network learn: its maps, its filters, its errors.")
    INSIDE.refuse_unknown()
    st.html(_STYLE.format(paper="#10151c" if dark() else "#ffffff"))
    chosen = choose_run()
    if chosen is None:
        return
    with st.spinner("Loading the network"):
        require_torch()
    subject = choose_moment(chosen.run, chosen.listed)
    if subject is None:
        return
    with chosen.beside:
        fork_popover(chosen.run, place="inside", epoch=subject.moment.epoch)
    INSIDE.change(epoch=subject.moment.epoch)
    INSIDE.show("epoch")
    load("pages.inside.views:show_views")(subject)


main()
