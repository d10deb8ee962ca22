"""Data sets, read once and shared by all sessions."""

import streamlit as st

from lab.data.load import Dataset
from pages.cache.lab import get_lab

INITIAL = "initial"  # stands for the weights before training, which are made again from the seed


@st.cache_resource(max_entries=4, show_spinner=False)
def _shared_dataset(dataset: str, root: str) -> Dataset:
    return get_lab().datasets.load(dataset)


def dataset_of(dataset: str) -> Dataset:
    """Return a data set, read once and shared: nobody may write to its arrays."""
    return _shared_dataset(dataset, str(get_lab().settings.data))
