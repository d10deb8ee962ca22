"""Uploaded photos, searched for digits once and not at every rerun; for the Draw and the Inside page."""

import streamlit as st

from lab.data.pictures import EXTENSIONS, read_colours
from lab.sketch.photo import Photo, find_digits

PICTURE_KINDS = list(EXTENSIONS)
_PHOTOS = 8


@st.cache_data(max_entries=_PHOTOS, show_spinner=False)
def photo_of(data: bytes, name: str, *, split: bool) -> Photo:
    """Return what is found in a picture file; raises `InputError`. Takes at most about a second."""
    return find_digits(read_colours(data, name=name), name=name, split=split)
