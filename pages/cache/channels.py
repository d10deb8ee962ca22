"""What channels respond to, cached by run and weights. Imports torch, as `pages.cache.inspection` does."""

from dataclasses import replace

import streamlit as st

from lab.inspection.channels import ChannelStudy, study_channel
from lab.inspection.metrics import sample_indices
from pages.cache.datasets import dataset_of, is_sample
from pages.cache.inspection import network_of

_ENTRIES = 256  # of about 40 kB


def channel_study_of(run: str, digest: str, dataset: str, layer: str, channel: int, count: int) -> ChannelStudy:
    """Return what a channel responds to among `count` test images, with their numbers in the test set.

    Raises `InputError` if the network's outputs are not finite.
    """
    return _channel_study_of(run, digest, dataset, is_sample(dataset), layer, channel, count)


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def _channel_study_of(
    run: str, digest: str, dataset: str, sample: bool, layer: str, channel: int, count: int
) -> ChannelStudy:
    data, loaded = dataset_of(dataset), network_of(run, digest)
    chosen = sample_indices(len(data.test_images), count)
    study = study_channel(
        loaded.network,
        data.test_images[chosen],
        data.test_labels[chosen],
        layer=layer,
        channel=channel,
        mean=loaded.mean,
        std=loaded.std,
    )
    return replace(study, strongest=chosen[study.strongest])
