"""Gradients and changes of weights, cached by run and weights. Imports torch, as `pages.cache.inspection` does."""

import streamlit as st

from lab.inspection.gradient_flow import EpochFlow
from lab.inspection.gradients import weight_changes
from lab.network_counts import count_from_config
from lab.runs.records import RunRecord
from lab.service.gradients import TrainingBatch, compute_flow, count_images, first_batch
from pages.cache.datasets import dataset_of, is_sample
from pages.cache.inspection import load_network, network_of
from pages.cache.lab import get_lab

_ENTRIES = 1024  # epochs, of up to 30 kB each
_BATCHES = 16


def batch_size_of(run: RunRecord) -> int:
    """Return the number of images for which gradients are computed; a data set with fewer has a smaller batch."""
    return count_images(run.config, count_from_config(run.config))


def batch_of(run: str, dataset: str) -> TrainingBatch:
    """Return the images and labels for which gradients are computed. They are shared: do not write to them."""
    return _batch_of(run, dataset, is_sample(dataset))


def gradients_of(run: str, digest: str, dataset: str, before: str | None) -> EpochFlow:
    """Return the layers of a run's network with these weights.

    before: digest of the weights from which the change is counted, None before training. Raises `InputError` if one of
    them has been removed.
    """
    flow = _gradients_of(run, digest, dataset, is_sample(dataset))
    return flow if before is None else flow.with_changes(_changes_of(run, digest, before))


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def _gradients_of(run: str, digest: str, dataset: str, sample: bool) -> EpochFlow:
    return compute_flow(load_network(run, digest), _batch_of(run, dataset, sample))


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def _changes_of(run: str, digest: str, before: str) -> dict[str, float]:
    return weight_changes(network_of(run, digest).network, network_of(run, before).network)


@st.cache_resource(max_entries=_BATCHES, show_spinner=False)
def _batch_of(run: str, dataset: str, sample: bool) -> TrainingBatch:
    record = get_lab().holding(run).store.runs.get(run)
    return first_batch(record.config, dataset_of(dataset), images=batch_size_of(record), sample=sample)
