"""The editor of a list of layers: a text with a line for each, and buttons that add the usual ones."""

from typing import Any

import streamlit as st

from lab.architectures.layer_list import LAYER_WORDS
from lab.architectures.registry import ArchOption
from pages.markdown import plain, with_code
from pages.state.keys import element
from pages.state.options import append_layers, count_lines

# What each button adds.
_ADDED = {
    "Convolution": "conv 32 3 padding 1, relu",
    "Convolution, batch norm": "conv 32 3 padding 1, batchnorm, relu",
    "Residual block": "residual 32",
    "Max pooling": "maxpool 2",
    "Linear": "linear 64, relu",
    "Dropout": "dropout 0.5",
}
_LINE_PX, _MARGIN_PX = 21, 22
_FEWEST, _MOST = 8, 18  # lines that the text shows without scrolling


def layer_editor(option: ArchOption, widget: dict[str, Any]) -> str:
    """Draw the editor and return its text, unchecked. widget: the text's key and related arguments."""
    lines = count_lines(widget)
    text: str = st.text_area(
        option.label.capitalize(),
        height=_LINE_PX * min(max(lines + 1, _FEWEST), _MOST) + _MARGIN_PX,
        help=plain(option.help),
        **widget,
    )
    with st.container(horizontal=True, gap="xsmall", key=element("add-layers", option.name)):
        for label, added in _ADDED.items():
            st.button(
                label,
                icon=":material/add:",
                key=element("add-layer", label),
                help=with_code(f"Adds `{added}`."),
                on_click=append_layers,
                args=(widget, added),
            )
        with st.popover("All layers", icon=":material/list:"):
            st.markdown("\n".join(f"- {with_code(f'`{word.usage}` · {word.help}')}" for word in LAYER_WORDS))
    return text
