"""Draw: sketch a digit and see how the networks read it, stroke by stroke, and why.

With `?runs=a.b` in the address, the page opens with those runs.
"""

import streamlit as st

from lab.lazy import load
from pages.cache.torch_import import require_torch
from pages.draw.runs import chosen_runs, offer_training
from pages.markdown import with_code
from pages.state.address import refuse_parameters
from pages.state.draw import DRAW
from pages.widgets.frame import page_frame


def main() -> None:
    """Draw the page."""
    page_frame(
        "Draw", "Draw a digit: trained networks read it as you draw, and the page shows what they predict and why."
    )
    refuse_parameters(("run", "runs", "mode", "view"))
    DRAW.take("mode")
    DRAW.take("view")
    chosen = chosen_runs()
    if not chosen:
        offer_training()
        return
    with st.spinner("Loading the networks"):
        require_torch()
        models, problems = load("pages.draw.models:load_models")(chosen)
    for problem in problems:
        st.warning(with_code(problem), icon=":material/warning:")
    if models:
        load("pages.draw.modes:show_mode")(models)


main()
