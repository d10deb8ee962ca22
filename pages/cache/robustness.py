"""Answers to distorted images, cached by run and weights. Imports torch, as `pages.cache.inspection` does."""

import numpy as np
import streamlit as st

from lab.inspection.distortions import DISTORTIONS, Robustness
from lab.inspection.metrics import require_finite, softmax
from lab.inspection.observe import compute_logits
from lab.lazy import load
from pages.cache.datasets import dataset_of, is_sample
from pages.cache.inspection import network_of

_ENTRIES = 512
_DISTORT = "lab.inspection.distort"  # imports torchvision, which only this view needs


@st.cache_data(max_entries=_ENTRIES, max_size="100MB", show_spinner=False)
def levels_of(image_u8: np.ndarray, distortion: str) -> np.ndarray:
    """Return one image (H, W) or (C, H, W) at each level of a distortion, uint8 (L, …)."""
    distort = load(f"{_DISTORT}:distort")
    return np.concatenate([distort(image_u8[None], distortion, level) for level in DISTORTIONS[distortion].levels])


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def level_probabilities_of(run: str, digest: str, image_u8: np.ndarray, distortion: str) -> np.ndarray:
    """Return the probabilities (L, K) of one image at each level. Raises `InputError` if they are not finite."""
    loaded = network_of(run, digest)
    logits = compute_logits(loaded.network, levels_of(image_u8, distortion), mean=loaded.mean, std=loaded.std)
    require_finite(logits, of="this image")
    return softmax(logits)


def robustness_of(run: str, digest: str, dataset: str, distortion: str, count: int) -> Robustness:
    """Return the accuracy at each level for `count` test images, or for as many as the data set has."""
    return _robustness_of(run, digest, dataset, is_sample(dataset), distortion, count)


@st.cache_data(max_entries=_ENTRIES, show_spinner=False)
def _robustness_of(run: str, digest: str, dataset: str, sample: bool, distortion: str, count: int) -> Robustness:
    data, loaded = dataset_of(dataset), network_of(run, digest)
    measured: Robustness = load(f"{_DISTORT}:measure_robustness")(
        loaded.network,
        data.test_images,
        data.test_labels,
        name=distortion,
        count=count,
        mean=loaded.mean,
        std=loaded.std,
    )
    return measured
