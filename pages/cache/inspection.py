"""Results of the Inside, Draw and Architecture pages, cached by run, weights and arguments.

Keys are ids and SHA-256 digests; nothing cached here is the only copy. Networks stay within a budget of bytes and are
shared by all sessions: none is ever modified, and hooks fire only in the thread that set them. Imports torch: pages
load their views, which import this module, after `require_torch`.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import numpy as np
import streamlit as st
import torch

from lab.architectures.build import build_network
from lab.errors import InputError
from lab.inspection.attribution import Attribution, attribute
from lab.inspection.embedding import project
from lab.inspection.graph import GraphNode, TracedNetwork, trace_graph, trace_network
from lab.inspection.kernels import Kernels, read_kernels
from lab.inspection.metrics import Answers, require_finite, score_logits, softmax
from lab.inspection.observe import (
    FeatureMaps,
    LayerView,
    compute_logits,
    feature_maps,
    layer_input,
    list_layers,
    to_input,
)
from lab.inspection.stages import (
    NetworkValues,
    Stage,
    choose_channels,
    list_stages,
    network_values,
    node_outputs,
)
from lab.inspection.summary import Summary, summarize
from lab.inspection.timing import Timing, time_layers
from lab.inspection.weighted_sum import LinearWeights, read_linear
from lab.lazy import load
from lab.loaded_network import LoadedNetwork
from lab.sketch.reading import compute_features
from pages.cache.datasets import INITIAL, dataset_of, is_sample
from pages.cache.design import Design
from pages.cache.lab import get_lab

_NETWORK_BYTES = 600_000_000
_PIECE = 64  # test images classified at once while searching for a mistake
_PIECES = 2_000
_SEARCH_S = 6.0  # time limit of one search for a mistake
_CHOSEN_BY = 16  # test images by which the drawn channels are chosen
_SMALL, _LARGE = 512, 64  # cache entries of a few kilobytes each, and of up to a megabyte each


@dataclass(slots=True)
class _NetworkCache:
    """Networks by (run, digest of weights).

    recent: networks with their size in bytes, least recently used first. in_use: all that are still referenced.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    recent: OrderedDict[tuple[str, str], tuple[LoadedNetwork, int]] = field(default_factory=OrderedDict)
    in_use: WeakValueDictionary[tuple[str, str], LoadedNetwork] = field(default_factory=WeakValueDictionary)


_networks = _NetworkCache()
_measuring = threading.Lock()  # two measurements at once would slow each other down


def network_of(run: str, digest: str) -> LoadedNetwork:
    """Return the network of a run with saved weights. It is shared: do not modify it.

    digest: SHA-256 of the weights, or `INITIAL`. Raises `InputError` if the weights have been removed.
    """
    key = run, digest
    with _networks.lock:
        if key in _networks.recent:
            _networks.recent.move_to_end(key)
            return _networks.recent[key][0]
        loaded = _networks.in_use.get(key) or _load(run, digest)
        size = sum(p.numel() * p.element_size() for p in loaded.network.parameters())
        while _networks.recent and size + sum(other for _, other in _networks.recent.values()) > _NETWORK_BYTES:
            _networks.recent.popitem(last=False)
        _networks.recent[key], _networks.in_use[key] = (loaded, size), loaded
        return loaded


def _load(run: str, digest: str) -> LoadedNetwork:
    loaded = load_network(run, digest)
    for parameter in loaded.network.parameters():
        parameter.requires_grad_(False)
    for module in loaded.network.modules():
        if getattr(module, "inplace", False):  # attribution would switch it off and on while other sessions use it
            module.inplace = False  # type: ignore[assignment]
    return loaded


def load_network(run: str, digest: str) -> LoadedNetwork:
    """Return a network for the caller alone, who may modify it; parameters require gradients unless they are frozen.

    Raises `InputError` like `network_of`.
    """
    lab = get_lab().holding(run)
    if digest == INITIAL:
        return lab.weights.load_initial(run)
    for weights in lab.weights.list(run):
        if weights.sha256 == digest:
            return lab.weights.load_file(lab.store.runs.get(run), weights)
    raise InputError("These weights were removed a moment ago (the run saves only some epochs): choose another epoch.")


def answers_of(run: str, digest: str, dataset: str) -> Answers:
    """Return the answers to the whole test set, or to the sample if only that is on this machine."""
    return _answers_of(run, digest, dataset, is_sample(dataset))


@st.cache_data(max_entries=_LARGE, show_spinner=False)
def _answers_of(run: str, digest: str, dataset: str, sample: bool) -> Answers:
    data = dataset_of(dataset)
    loaded = network_of(run, digest)
    logits = compute_logits(loaded.network, data.test_images, mean=loaded.mean, std=loaded.std)
    return score_logits(logits, data.test_labels)


@dataclass(frozen=True, slots=True)
class Mistake:
    """The number of a misclassified image, None if there is none among the `asked` images that were tried."""

    number: int | None
    asked: int


@st.cache_data(max_entries=_PIECES, show_spinner=False)
def _wrong_of(run: str, digest: str, dataset: str, start: int) -> np.ndarray:
    """Return whether each test image of one piece is misclassified, bool (`_PIECE`,), shorter at the end of the set."""
    data, loaded = dataset_of(dataset), network_of(run, digest)
    images, labels = data.test_images[start : start + _PIECE], data.test_labels[start : start + _PIECE]
    return ~score_logits(compute_logits(loaded.network, images, mean=loaded.mean, std=loaded.std), labels).right


def next_mistake(run: str, digest: str, dataset: str, numbers: np.ndarray, *, after: int) -> Mistake:
    """Return the first misclassified test image after `after`, searching `numbers` in order and wrapping around.

    The search goes piece by piece, for a limited time; each piece is classified once and cached.
    """
    ended = time.monotonic() + _SEARCH_S
    begin = int(np.searchsorted(numbers, after, side="right"))
    for asked, number in enumerate(np.roll(numbers, -begin).tolist(), start=1):
        start = number - number % _PIECE
        if _wrong_of(run, digest, dataset, start)[number - start]:
            return Mistake(number, asked)
        if time.monotonic() > ended:
            return Mistake(None, asked)
    return Mistake(None, len(numbers))


@st.cache_data(max_entries=_SMALL, show_spinner=False)
def probabilities_of(run: str, digest: str, image_u8: np.ndarray) -> np.ndarray:
    """Return the probabilities (K,) for one image (H, W) or (C, H, W). Raises `InputError` if they are not finite."""
    loaded = network_of(run, digest)
    logits = compute_logits(loaded.network, image_u8[None], mean=loaded.mean, std=loaded.std)
    require_finite(logits, of="this image")
    return np.asarray(softmax(logits)[0])


@st.cache_data(max_entries=_SMALL, show_spinner=False)
def layers_of(run: str, digest: str) -> tuple[LayerView, ...]:
    """Return the layers of a run's network."""
    loaded = network_of(run, digest)
    return list_layers(loaded.network, image_size=loaded.image_size, channels=loaded.channels)


@st.cache_data(max_entries=_SMALL, max_size="200MB", show_spinner=False)
def maps_of(run: str, digest: str, layer: str, image_u8: np.ndarray) -> FeatureMaps:
    """Return a layer's feature maps for one image."""
    loaded = network_of(run, digest)
    return feature_maps(loaded.network, to_input(image_u8[None], mean=loaded.mean, std=loaded.std), layer=layer)


@st.cache_resource(max_entries=_SMALL, show_spinner=False)
def traced_of(run: str, _digest: str) -> TracedNetwork:
    """Return the traced graph of a run's network. The digest is no part of the key: all weights have the same graph."""
    loaded = network_of(run, _digest)
    return trace_network(loaded.network, input_shape=(1, loaded.channels, loaded.image_size, loaded.image_size))


@st.cache_resource(max_entries=_SMALL, show_spinner=False)
def stages_of(run: str, _digest: str, opened: tuple[str, ...]) -> tuple[Stage, ...]:
    """Return the stages of a run's network. opened: blocks that are expanded into their layers."""
    return list_stages(traced_of(run, _digest).nodes, opened=opened)


@st.cache_resource(max_entries=_SMALL, show_spinner=False)
def channels_of(run: str, digest: str, opened: tuple[str, ...], dataset: str) -> dict[str, np.ndarray]:
    """Return the channels of each stage that are drawn, chosen with these weights on the first test images."""
    loaded = network_of(run, digest)
    x = to_input(dataset_of(dataset).test_images[:_CHOSEN_BY], mean=loaded.mean, std=loaded.std)
    return choose_channels(traced_of(run, digest), loaded.network, x, stages=stages_of(run, digest, opened))


@st.cache_data(max_entries=_SMALL, max_size="200MB", show_spinner=False)
def values_of(
    run: str, digest: str, opened: tuple[str, ...], image_u8: np.ndarray, chosen_by: str, dataset: str
) -> NetworkValues:
    """Return the values of every stage for one image. chosen_by: digest of the weights that choose the channels.

    Raises `InputError` if the logits are not finite.
    """
    loaded = network_of(run, digest)
    x = to_input(image_u8[None], mean=loaded.mean, std=loaded.std)
    values = network_values(
        traced_of(run, digest),
        loaded.network,
        x,
        stages=stages_of(run, digest, opened),
        channels=channels_of(run, chosen_by, opened, dataset),
    )
    require_finite(values.logits, of="this image")
    return values


@st.cache_data(max_entries=_SMALL, max_size="200MB", show_spinner=False)
def outputs_of(run: str, digest: str, nodes: tuple[str, ...], image_u8: np.ndarray) -> dict[str, np.ndarray]:
    """Return the complete outputs of graph nodes for one image, float32 (C, H, W) or (N,), by node."""
    loaded = network_of(run, digest)
    x = to_input(image_u8[None], mean=loaded.mean, std=loaded.std)
    found = node_outputs(traced_of(run, digest), loaded.network, x, nodes=nodes)
    return {node: output[0].float().numpy() for node, output in found.items()}


@st.cache_data(max_entries=_SMALL, max_size="200MB", show_spinner=False)
def kernels_of(run: str, digest: str, layer: str) -> Kernels:
    """Return one convolution's weights."""
    loaded = network_of(run, digest)
    return read_kernels(loaded.network, layer=layer)


@st.cache_resource(max_entries=_LARGE, show_spinner=False)
def linear_of(run: str, digest: str, layer: str) -> LinearWeights:
    """Return one linear layer's weights. They are shared: do not write to them."""
    return read_linear(network_of(run, digest).network, layer=layer)


@st.cache_data(max_entries=_SMALL, max_size="100MB", show_spinner=False)
def input_of(run: str, digest: str, layer: str, image_u8: np.ndarray) -> np.ndarray:
    """Return a layer's input for one image, (C, H, W)."""
    loaded = network_of(run, digest)
    x = to_input(image_u8[None], mean=loaded.mean, std=loaded.std)
    return np.asarray(layer_input(loaded.network, x, layer=layer)[0].numpy())


@st.cache_data(max_entries=_SMALL, show_spinner=False)
def attribution_of(run: str, digest: str, image_u8: np.ndarray, target: int, method: str) -> Attribution:
    """Return the pixels' attribution for a class."""
    loaded = network_of(run, digest)
    x = to_input(image_u8[None], mean=loaded.mean, std=loaded.std)
    return attribute(loaded.network, x, target=target, method=method, black=-loaded.mean / loaded.std)


def points_of(run: str, digest: str, dataset: str, count: int, method: str) -> np.ndarray | None:
    """Return the positions (N, 2) of the first `count` test images in a map of the last hidden layer, before alignment.

    None if the training has diverged, so that features are not finite.
    """
    return _points_of(run, digest, dataset, min(count, len(dataset_of(dataset).test_images)), method)


@st.cache_data(max_entries=_LARGE, show_spinner=False)
def _points_of(run: str, digest: str, dataset: str, count: int, method: str) -> np.ndarray | None:
    features = compute_features(network_of(run, digest), dataset_of(dataset).test_images[:count])
    return project(features, method=method) if np.isfinite(features).all() else None


@st.cache_data(max_entries=_SMALL, max_size="50MB", show_spinner=False)
def summary_of(design: Design, batch: int) -> Summary:
    """Return the counts for one batch. Raises `ShapeError` if the images do not fit."""
    with torch.device("meta"):
        network = build_network(design.arch, **design.arguments())
    return summarize(network, input_shape=(batch, *design.image_shape))


@st.cache_data(max_entries=_SMALL, max_size="50MB", show_spinner=False)
def graph_of(design: Design) -> tuple[GraphNode, ...]:
    """Return the network's graph for one image. Raises `ShapeError` if the images do not fit."""
    with torch.device("meta"):
        network = build_network(design.arch, **design.arguments())
    return trace_graph(network, input_shape=(1, *design.image_shape))


@st.cache_data(max_entries=_SMALL, show_spinner=False)
def layer_list_of(design: Design) -> str | None:
    """Return the list of layers from which the custom network has the network's layers, None if there is none.

    Raises `ShapeError` if the images do not fit.
    """
    with torch.device("meta"):
        network = build_network(design.arch, **design.arguments())
    text: str | None = load("lab.architectures.custom:layers_as_text")(network)
    return text


def measure_times(design: Design, batch: int) -> Timing:
    """Measure each layer's forward pass on this machine's CPU; concurrent sessions are measured one after another."""
    network = build_network(design.arch, **design.arguments())
    with _measuring:
        return time_layers(network, torch.rand(batch, *design.image_shape))
