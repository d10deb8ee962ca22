"""Data sets, read once and shared by all sessions."""

from dataclasses import dataclass

import numpy as np
import streamlit as st

from lab.charts.tiles import encode, image_tiles, sheet
from lab.data.load import Dataset, is_present
from lab.data.registry import get_dataset_spec
from lab.errors import LabError
from lab.examples.sample import load_sample, uses_sample
from lab.training.samples import sample_images
from pages.cache.lab import get_lab

_QUICK = 120_000  # images; a larger data set is not read just for its preview
_PICTURES = 10
INITIAL = "initial"  # in place of a digest: the weights before training, which are built again from the seed


@st.cache_resource(max_entries=4, show_spinner=False)
def _shared_dataset(dataset: str, root: str) -> Dataset:
    return get_lab().datasets.load(dataset)


def dataset_of(dataset: str) -> Dataset:
    """Return a data set, read once and shared by all sessions: its arrays must not be written to.

    If the examples' data set is not on this machine, the sample that ships with the lab is returned (`is_sample`).
    """
    return load_sample() if is_sample(dataset) else _shared_dataset(dataset, str(get_lab().settings.data))


@dataclass(frozen=True, slots=True)
class Samples:
    """The test images whose predictions a run reports, in that order: PNGs, their true classes, all class names."""

    pictures: tuple[bytes, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]


def run_samples(dataset: str) -> Samples | None:
    """Return the watched test images of a data set, None if it is not on this machine or cannot be read."""
    if not is_present(dataset, root=get_lab().settings.data):
        return None
    try:
        return _run_samples(dataset, str(get_lab().settings.data))
    except LabError:  # damaged; the charts work without the images
        return None


@st.cache_data(max_entries=16, show_spinner=False)
def _run_samples(dataset: str, root: str) -> Samples:
    found = _shared_dataset(dataset, root)
    chosen = list(sample_images(found.test_labels))
    pictures = image_tiles([found.test_images[index] for index in chosen])
    return Samples(tuple(map(encode, pictures)), tuple(found.test_labels[chosen].tolist()), found.spec.classes)


def dataset_picture(dataset: str) -> bytes | None:
    """Return test images of a data set as one PNG in two rows of five, of ten different classes if it has as many.

    None if the data set is not on this machine, cannot be read, or is so large that reading it takes seconds.
    """
    spec = get_dataset_spec(dataset)
    if spec.train_images + spec.test_images > _QUICK or not is_present(dataset, root=get_lab().settings.data):
        return None
    try:
        return _dataset_picture(dataset, str(get_lab().settings.data))
    except LabError:  # damaged; choosing the data set reports this
        return None


@st.cache_data(max_entries=64, show_spinner=False)
def _dataset_picture(dataset: str, root: str) -> bytes:
    found = _shared_dataset(dataset, root)
    first = sample_images(found.test_labels)
    chosen = np.resize(np.array(first), _PICTURES) if len(first) < _PICTURES else np.array(first)
    return encode(sheet(image_tiles(found.test_images[chosen]), columns=_PICTURES // 2))


def is_sample(dataset: str) -> bool:
    """Whether `dataset_of` returns only a sample of a data set, because the whole is not on this machine."""
    return uses_sample(dataset, root=get_lab().settings.data)
