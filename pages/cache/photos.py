"""Uploaded photos of the Draw and Inside pages, searched for digits once instead of at every rerun."""

import streamlit as st

from lab.data.pictures import EXTENSIONS, read_colours
from lab.sketch.photo import Photo, find_digits

PICTURE_KINDS = list(EXTENSIONS)
LARGEST_MB = 10  # of an uploaded picture
_PHOTOS = 8


@st.cache_data(max_entries=_PHOTOS, show_spinner=False)
def photo_of(data: bytes, name: str, *, split: bool) -> Photo:
    """Return the digits found in a picture file, in at most about a second. Raises `InputError` if it is no picture."""
    return find_digits(read_colours(data, name=name), name=name, split=split)
