"""Caches of the Draw page, by run and weights: the unsure rule, features to search, and the digits read in a photo.

Imports torch: import this module after `require_torch`.
"""

import numpy as np
import streamlit as st

from lab.sketch.photo_reading import ReadDigit, Reader, read_photo
from lab.sketch.reading import compute_features, learn_network_rule, rule_images
from lab.sketch.unsure import UnsureRule, unit_rows
from pages.cache.datasets import dataset_of
from pages.cache.inspection import network_of
from pages.cache.photos import photo_of

SEARCHED = 3_000  # training images that are searched for nearest neighbours
_RULES = 24  # networks; up to 8 MB each
_FEATURES = 6  # networks; 1 to 50 MB each
_PHOTOS = 8


@st.cache_resource(max_entries=_RULES, show_spinner=False)
def rule_of(run: str, digest: str) -> UnsureRule:
    """Return the rule by which an answer of a run's weights counts as unsure."""
    loaded = network_of(run, digest)
    count = rule_images(sum(p.numel() for p in loaded.network.parameters()), loaded.run.config.input_size)
    return learn_network_rule(loaded, dataset_of(loaded.run.config.dataset), count=count)


@st.cache_resource(max_entries=_FEATURES, show_spinner=False)
def features_of(run: str, digest: str) -> np.ndarray:
    """Return the last hidden layer's features of the first training images, (N, D), each row of length 1."""
    loaded = network_of(run, digest)
    return unit_rows(compute_features(loaded, dataset_of(loaded.run.config.dataset).train_images[:SEARCHED]))


@st.cache_resource(max_entries=_PHOTOS, show_spinner=False)
def digits_of(run: str, digest: str, data: bytes, name: str) -> list[ReadDigit]:
    """Return what a run's weights read in a picture file, with touching digits split. Raises `InputError`."""
    loaded = network_of(run, digest)
    spec = dataset_of(loaded.run.config.dataset).spec
    reader = Reader(loaded, spec.require_recipe(), rule_of(run, digest))
    return read_photo(photo_of(data, name, split=spec.has_digits), [reader], split=spec.has_digits)
