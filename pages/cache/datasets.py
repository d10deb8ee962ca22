"""Data sets, read once and shared by all sessions."""

import streamlit as st

from lab.data.load import Dataset
from lab.examples.sample import load_sample, uses_sample
from pages.cache.lab import get_lab

INITIAL = "initial"  # stands for the weights before training, which are made again from the seed


@st.cache_resource(max_entries=4, show_spinner=False)
def _shared_dataset(dataset: str, root: str) -> Dataset:
    return get_lab().datasets.load(dataset)


def dataset_of(dataset: str) -> Dataset:
    """Return a data set, read once and shared: nobody may write to its arrays.

    Where the examples' data set is not on this machine, its first pictures are (`is_sample`).
    """
    return load_sample() if is_sample(dataset) else _shared_dataset(dataset, str(get_lab().settings.data))


def is_sample(dataset: str) -> bool:
    """Whether `dataset_of` returns only the first pictures of a data set, because it is not on this machine."""
    return uses_sample(dataset, root=get_lab().settings.data)
